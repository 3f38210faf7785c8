import SluiceCore

/// Batches shaped like the main network's: 150 transactions and 310 logs a block, most bytes of them hashes that do not compress.
struct SyntheticChain {
    private var random = SeededRandom(seed: 7)
    private var addresses: [[UInt8]] = []
    private var topics: [[UInt8]] = []
    private var parent = Hash32.zero

    static let blocks = Schema(
        name: "blocks", key: ["chain_id", "hash"], doc: "",
        fields: [
            Field("chain_id", .int64, ""), Field("number", .int64, ""), Field("hash", .fixedBytes(32), ""),
            Field("parent_hash", .fixedBytes(32), ""), Field("timestamp", .timestamp, ""), Field("miner", .fixedBytes(20), ""),
            Field("gas_used", .uint64, ""), Field("base_fee_per_gas", .uint256, nullable: true, ""), Field("logs_bloom", .bytes, ""),
            Field("transaction_count", .uint64, ""),
        ])
    static let transactions = Schema(
        name: "transactions", key: ["chain_id", "block_hash", "transaction_index"], doc: "",
        fields: [
            Field("chain_id", .int64, ""), Field("block_number", .int64, ""), Field("block_hash", .fixedBytes(32), ""),
            Field("block_timestamp", .timestamp, ""), Field("transaction_index", .uint64, ""), Field("hash", .fixedBytes(32), ""),
            Field("nonce", .uint64, ""), Field("from", .fixedBytes(20), ""), Field("to", .fixedBytes(20), nullable: true, ""),
            Field("value", .uint256, ""), Field("gas", .uint64, ""), Field("gas_price", .uint256, ""),
            Field("max_fee_per_gas", .uint256, nullable: true, ""), Field("max_priority_fee_per_gas", .uint256, nullable: true, ""),
            Field("input", .bytes, ""), Field("type", .uint64, ""), Field("status", .uint64, ""), Field("gas_used", .uint64, ""),
            Field("cumulative_gas_used", .uint64, ""), Field("effective_gas_price", .uint256, ""),
            Field("contract_address", .fixedBytes(20), nullable: true, ""), Field("r", .fixedBytes(32), ""),
            Field("s", .fixedBytes(32), ""),
        ])
    static let logs = Schema(
        name: "logs", key: ["chain_id", "block_hash", "log_index"], doc: "",
        fields: [
            Field("chain_id", .int64, ""), Field("block_number", .int64, ""), Field("block_hash", .fixedBytes(32), ""),
            Field("block_timestamp", .timestamp, ""), Field("transaction_index", .uint64, ""),
            Field("transaction_hash", .fixedBytes(32), ""), Field("log_index", .uint64, ""), Field("address", .fixedBytes(20), ""),
            Field("topic0", .fixedBytes(32), nullable: true, ""), Field("topic1", .fixedBytes(32), nullable: true, ""),
            Field("topic2", .fixedBytes(32), nullable: true, ""), Field("topic3", .fixedBytes(32), nullable: true, ""),
            Field("data", .bytes, ""), Field("removed", .bool, ""),
        ])
    static let schemas = [blocks, transactions, logs]

    init() {
        for _ in 0..<2000 { addresses.append(bytes(20)) }
        for _ in 0..<60 { topics.append(bytes(32)) }
    }

    private mutating func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { target, used in
            var at = 0
            while at < count {
                withUnsafeBytes(of: random.next()) { word in
                    let take = min(8, count - at)
                    for index in 0..<take { target[at + index] = word[index] }
                    at += take
                }
            }
            used = count
        }
    }

    /// Some values lie in pools, as busy contracts do.
    private mutating func pooled(_ pool: [[UInt8]]) -> [UInt8] {
        let draw = Double(random.next() >> 11) * 0x1p-53
        return pool[Int(draw * draw * draw * Double(pool.count))]
    }

    private mutating func address() -> [UInt8] { random.next() & 3 == 0 ? bytes(20) : pooled(addresses) }

    private mutating func word() -> [UInt8] {
        random.next() & 1 == 0 ? [UInt8](repeating: 0, count: 12) + address() : [UInt8](repeating: 0, count: 24) + bytes(8)
    }

    private mutating func input() -> [UInt8] {
        let draw = random.next() % 100
        if draw < 30 { return [] }
        let words = draw < 60 ? 2 : draw < 95 ? 14 : 120
        var data = bytes(4)
        for _ in 0..<words { data += word() }
        return data
    }

    private mutating func wei() -> UInt256 { UInt256(random.next() >> UInt64(random.next() % 50)) }

    mutating func batch(first: UInt64, count: UInt64) -> Batch {
        var blockRows = Self.blocks.fields.map { ColumnBuilder($0.type, capacity: Int(count)) }
        var txRows = Self.transactions.fields.map { ColumnBuilder($0.type, capacity: Int(count) * 150) }
        var logRows = Self.logs.fields.map { ColumnBuilder($0.type, capacity: Int(count) * 310) }
        let before = parent
        var stamps: [BlockStamp] = []
        for number in first..<first + count {
            let hash = Hash32(bytes(32)) ?? .zero
            let time = Int64(1_700_000_000 + number * 12) * 1_000_000
            put(
                &blockRows,
                [
                    .u(1), .u(number), .b(hash.bytes), .b(parent.bytes), .i(time), .b(address()), .u(random.next() >> 38), .a(wei()),
                    .b(bytes(256)), .u(150),
                ])
            parent = hash
            stamps.append(BlockStamp(hash: hash, timestamp: 1_700_000_000 + number * 12))
            for index in 0..<150 as Range<UInt64> {
                let tx = bytes(32)
                put(
                    &txRows,
                    [
                        .u(1), .u(number), .b(hash.bytes), .i(time), .u(index), .b(tx), .u(random.next() >> 50), .b(address()),
                        .b(address()), .a(wei()),
                        .u(random.next() >> 44), .a(wei()), .a(wei()), .a(wei()), .b(input()), .u(2), .u(1), .u(random.next() >> 45),
                        .u(random.next() >> 40),
                        .a(wei()), .null, .b(bytes(32)), .b(bytes(32)),
                    ])
                for log in index * 2..<index * 2 + 2 + (index % 15 == 0 ? 1 : 0) {
                    put(
                        &logRows,
                        [
                            .u(1), .u(number), .b(hash.bytes), .i(time), .u(index), .b(tx), .u(log), .b(pooled(addresses)),
                            .b(pooled(topics)), .b(word()), .b(word()),
                            log % 3 == 0 ? .b(word()) : .null, .b(word() + word() + word()), .u8(0),
                        ])
                }
            }
        }
        return Batch(
            chainID: 1,
            span: Span(first: first, parentHash: before, blocks: stamps),
            tables: [table(Self.blocks, blockRows), table(Self.transactions, txRows), table(Self.logs, logRows)])
    }

    private enum Cell {
        case u(UInt64)
        case i(Int64)
        case a(UInt256)
        case b([UInt8])
        case u8(UInt8)
        case null
    }

    private func put(_ rows: inout [ColumnBuilder], _ cells: [Cell]) {
        for (index, cell) in cells.enumerated() {
            switch cell {
            case .u(let value): rows[index].append(value)
            case .i(let value): rows[index].append(value)
            case .a(let value): rows[index].append(value)
            case .b(let value): rows[index].append(bytes: value)
            case .u8(let value): rows[index].append(value)
            case .null: rows[index].appendNull()
            }
        }
    }

    private func table(_ schema: Schema, _ rows: [ColumnBuilder]) -> Table {
        let columns = rows.map { $0.finish() }
        return Table(schema: schema, columns: columns, rowCount: columns[0].count)
    }
}
