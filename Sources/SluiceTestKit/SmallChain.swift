import Foundation
public import SluiceCore

/// A tiny chain for sinks: block n has n % 3 logs.
public enum SmallChain {
    /// One row a block.
    public static let blocks = Schema(
        name: "blocks", key: ["chain_id", "hash"], doc: "",
        fields: [
            Field("chain_id", .int64, ""), Field("number", .int64, ""), Field("hash", .fixedBytes(32), ""),
            Field("timestamp", .timestamp, ""),
            Field("base_fee", .uint256, nullable: true, ""),
        ])
    /// n % 3 rows for block n.
    public static let logs = Schema(
        name: "logs", key: ["chain_id", "block_hash", "log_index"], doc: "",
        fields: [
            Field("chain_id", .int64, ""), Field("block_number", .int64, ""), Field("block_hash", .fixedBytes(32), ""),
            Field("block_timestamp", .timestamp, ""), Field("log_index", .int64, ""), Field("data", .bytes, ""),
            Field("note", .string, nullable: true, ""),
        ])
    /// Both tables.
    public static let schemas = [blocks, logs]

    /// The hash of a block, on a fork of that number.
    public static func hash(_ number: UInt64, fork: UInt8 = 0) -> Hash32 {
        var random = SeededRandom(seed: number &* 31 &+ UInt64(fork))
        return Hash32((0..<32).map { _ in UInt8(truncatingIfNeeded: random.next()) }) ?? .zero
    }

    /// A block, by number and hash.
    public static func position(_ number: UInt64, fork: UInt8 = 0) -> Position { Position(number: number, hash: hash(number, fork: fork)) }

    /// Some blocks in a row.
    public static func segment(_ range: ClosedRange<UInt64>, fork: UInt8 = 0) -> Segment {
        Segment(first: range.lowerBound, last: position(range.upperBound, fork: fork))
    }

    /// `parentFork` is the fork of the block before the first.
    public static func batch(
        _ range: ClosedRange<UInt64>, fork: UInt8 = 0, parentFork: UInt8? = nil, logs: Schema = logs, chainID: UInt64 = 1,
        start: UInt64 = 1_700_000_000
    ) -> Batch {
        var blockRows = blocks.fields.map { ColumnBuilder($0.type) }
        var logRows = logs.fields.map { ColumnBuilder($0.type) }
        var logCount = 0
        for number in range {
            let (hash, time) = (hash(number, fork: fork), Int64(start + number * 12) * 1_000_000)
            blockRows[0].append(chainID)
            blockRows[1].append(number)
            blockRows[2].append(bytes: hash.bytes)
            blockRows[3].append(time)
            number % 2 == 0 ? blockRows[4].append(UInt256.max) : blockRows[4].appendNull()
            for index in 0..<number % 3 {
                logRows[0].append(chainID)
                logRows[1].append(number)
                logRows[2].append(bytes: hash.bytes)
                logRows[3].append(time)
                logRows[4].append(index)
                logRows[5].append(bytes: Array(repeating: UInt8(truncatingIfNeeded: number), count: Int(number % 40)))
                for at in 6..<logRows.count { logRows[at].appendNull() }
                logCount += 1
            }
        }
        return Batch(
            chainID: chainID,
            span: Span(
                first: range.lowerBound, parentHash: hash(range.lowerBound &- 1, fork: parentFork ?? fork),
                blocks: range.map { BlockStamp(hash: hash($0, fork: fork), timestamp: start + $0 * 12) }),
            tables: [
                Table(schema: blocks, columns: blockRows.map { $0.finish() }, rowCount: range.count),
                Table(schema: logs, columns: logRows.map { $0.finish() }, rowCount: logCount),
            ])
    }
}

/// A folder for one test, removed at its end.
public func withFolder(_ body: (String) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "sluice-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try await body(folder)
}
