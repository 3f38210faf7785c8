import Foundation
import ParquetConnector
import SluiceCore
import SluiceTestKit
import Testing

/// Files are read back by another reader: what DuckDB wrote and DuckDB reads might be wrong twice.
@Suite struct ParquetTypesTests {
    static let schema = Schema(
        name: "t", key: [], doc: "",
        fields: [
            Field("block_number", .uint64, ""), Field("block_timestamp", .timestamp, ""), Field("block_hash", .fixedBytes(32), ""),
            Field("flag", .bool, nullable: true, ""), Field("i", .int64, nullable: true, ""), Field("f", .float64, nullable: true, ""),
            Field("d", .decimal, nullable: true, ""), Field("w", .uint256, nullable: true, ""), Field("s", .string, nullable: true, ""),
            Field("b", .bytes, nullable: true, ""), Field("j", .json, nullable: true, ""),
        ])

    /// Prints each column as a line: its name, its type, and its values as Python writes them.
    static let script = """
        import sys, pyarrow.parquet as pq
        for field, column in zip((t := pq.ParquetFile(sys.argv[1]).read()).schema, t.columns):
            print(field.name, field.type, [str(v) if v is not None and field.name == 'd' else v for v in
                (column.cast('int64') if str(field.type).startswith('timestamp') else column).to_pylist()], sep='|')
        """

    @Test("every type is what an independent reader expects, with extremes and nulls")
    func types() async throws {
        try await withFolder { folder in
            var rows = Self.schema.fields.map { ColumnBuilder($0.type) }
            let hash = SmallChain.hash(5)
            for row in 0..<3 {
                rows[0].append(UInt64(5))
                rows[1].append(Int64(1_438_269_988_000_001))
                rows[2].append(bytes: hash.bytes)
                if row == 1 {
                    for index in 3..<rows.count { rows[index].appendNull() }
                    continue
                }
                let low = row == 0
                rows[3].append(UInt8(low ? 0 : 1))
                rows[4].append(low ? Int64.min : Int64.max)
                rows[5].append(low ? -0.5 : Double.greatestFiniteMagnitude)
                rows[6].append(Int128("99999999999999999999999999999999999999") ?? 0)
                rows[7].append(low ? UInt256.zero : UInt256.max)
                rows[8].append(low ? "" : "a'\u{0}\u{1F600}, more than twelve")
                rows[9].append(bytes: low ? [] : Array(0...13 as ClosedRange<UInt8>))
                rows[10].append("[1]")
            }
            let batch = Batch(
                chainID: 1, span: Span(first: 5, parentHash: .zero, blocks: [BlockStamp(hash: hash, timestamp: 1_438_269_988)]),
                tables: [Table(schema: Self.schema, columns: rows.map { $0.finish() }, rowCount: 3)])
            let sink = ParquetSink(ParquetSinkOptions(directory: folder), segments: MemorySegments())
            let stream = try await sink.open(StreamID(pipeline: "p", chainID: 1), tables: [Self.schema])
            _ = try await stream.write(batch)
            _ = try await stream.finish()
            await sink.close()
            guard let text = try pyarrow("\(folder)/t/chain_id=1/date=2015-07-30/t_000000000005_000000000005.parquet") else {
                withKnownIssue("SKIPPED: python3 cannot import pyarrow; run scripts/setup --test") { Issue.record("no independent reader") }
                return
            }
            let digits = "99999999999999999999999999999999999999"
            // Python's own way to write bytes.
            let bytes = "b'" + hash.bytes.map(pythonByte).joined() + "'"
            let quote = bytes.contains("\\'") ? nil : bytes
            var expected = [
                "block_number|uint64|[5, 5, 5]",
                "block_timestamp|timestamp[us, tz=UTC]|[1438269988000001, 1438269988000001, 1438269988000001]",
                "flag|bool|[False, None, True]", "i|int64|[-9223372036854775808, None, 9223372036854775807]",
                "f|double|[-0.5, None, 1.7976931348623157e+308]", "d|decimal128(38, 0)|['\(digits)', None, '\(digits)']",
                // 2**256 - 1, and float(2**256 - 1), from Python.
                "w|string|['0', None, '115792089237316195423570985008687907853269984665640564039457584007913129639935']",
                "w_f64|double|[0.0, None, 1.157920892373162e+77]",
                "s|string|['', None, \"a'\\x00\u{1F600}, more than twelve\"]",
                "b|binary|[b'', None, b'\\x00\\x01\\x02\\x03\\x04\\x05\\x06\\x07\\x08\\t\\n\\x0b\\x0c\\r']",
                "j|string|['[1]', None, '[1]']",
            ]
            if let quote { expected.append("block_hash|binary|[\(quote), \(quote), \(quote)]") }
            let lines = Set(text.split(separator: "\n").map(String.init))
            #expect(lines.isSuperset(of: expected), "\(lines.symmetricDifference(expected))")
        }
    }

    private func pythonByte(_ byte: UInt8) -> String {
        switch byte {
        case 9: "\\t"
        case 10: "\\n"
        case 13: "\\r"
        case UInt8(ascii: "\\"): "\\\\"
        case UInt8(ascii: "'"): "\\'"
        case 32..<127: String(UnicodeScalar(byte))
        default: "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
    }

    /// What the script prints; nil when there is no pyarrow.
    private func pyarrow(_ path: String) throws -> String? {
        let environment = ProcessInfo.processInfo.environment
        let cache = environment["XDG_CACHE_HOME"] ?? NSHomeDirectory() + "/.cache"
        let python = Process()
        python.executableURL = URL(filePath: "/usr/bin/env")
        python.environment = ["PYTHONPATH": "\(cache)/sluice/pyarrow-26.0.0", "PATH": environment["PATH"] ?? "/usr/bin", "PYTHONUTF8": "1"]
        python.arguments = ["python3", "-c", Self.script, path]
        let output = Pipe()
        python.standardOutput = output
        try python.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        python.waitUntilExit()
        return python.terminationStatus == 0 ? text : nil
    }
}
