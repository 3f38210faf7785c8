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
            guard
                let text = try pyarrow(
                    ["\(folder)/t/chain_id=1/date=2015-07-30/t_000000000005_000000000005.parquet"], script: Self.script)
            else {
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

    /// Prints all rows as JSON: what is under each name as exact text, by columns that a seeded table has.
    private static let exact = """
        import json, struct, sys, pyarrow.parquet as pq
        table = pq.ParquetFile(sys.argv[1]).read()
        def text(field, value):
            if value is None: return None
            kind = str(field.type)
            if kind == "bool": return "true" if value else "false"
            if kind == "double": return str(struct.unpack("<q", struct.pack("<d", value))[0])
            if kind.startswith("binary"): return "0x" + value.hex()
            return str(value)
        columns = {}
        for field, column in zip(table.schema, table.columns):
            if str(field.type).startswith("timestamp"):
                assert str(field.type) == "timestamp[us, tz=UTC]", field
                column = column.cast("int64")
            columns[field.name] = [text(field, value) for value in column.to_pylist()]
        # Python's own way from digits to the nearest double.
        nearest = [None if digits is None else str(struct.unpack("<q", struct.pack("<d", float(int(digits))))[0]) for digits in columns["a_wide"]]
        assert nearest == columns["a_wide_f64"]
        assert columns["row"] == [str(at) for at in range(table.num_rows)], "rows are not in their order"
        print(json.dumps([list(row) for row in zip(*[columns[name] for name in sys.argv[2:]])]))
        """

    @Test("whatever is in rows, an independent reader finds it, also when files were joined")
    func any() async throws {
        let seed =
            ProcessInfo.processInfo.environment["SLUICE_TEST_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64(UInt32.max))
        try await withFolder { folder in
            let (table, expected) = EveryType.rows(3_000, seed: seed, textsAreNull: true)
            let sink = ParquetSink(
                ParquetSinkOptions(directory: folder, blocksPerFile: 4, rowGroupRows: 2_048), segments: MemorySegments())
            let stream = try await sink.open(StreamID(pipeline: "p", chainID: 1), tables: [EveryType.schema])
            func batch(_ number: UInt64, _ table: Table) -> Batch {
                Batch(
                    chainID: 1,
                    span: Span(
                        first: number, parentHash: SmallChain.hash(number - 1),
                        blocks: [BlockStamp(hash: SmallChain.hash(number), timestamp: 1_438_269_988)]), tables: [table])
            }
            // The file of block 6 ends early; that of block 7 is joined to it.
            _ = try await stream.write(
                batch(
                    6,
                    Table(
                        schema: EveryType.schema,
                        columns: EveryType.schema.fields.map {
                            ColumnBuilder($0.type).finish()
                        }, rowCount: 0)))
            _ = try await stream.finish()
            _ = try await stream.write(batch(7, table))
            await sink.close()
            let path = "\(folder)/all_types/chain_id=1/date=2015-07-30/all_types_000000000006_000000000007.parquet"
            guard let text = try pyarrow([path] + EveryType.names, script: Self.exact) else {
                withKnownIssue("SKIPPED: python3 cannot import pyarrow; run scripts/setup --test") { Issue.record("no independent reader") }
                return
            }
            let found = try JSONDecoder().decode([[String?]].self, from: Data(text.utf8))
            try #require(found.count == expected.count, "seed \(seed)")
            for (row, (one, other)) in zip(found, expected).enumerated() where one != other {
                for (name, pair) in zip(EveryType.names, zip(one, other)) where pair.0 != pair.1 {
                    Issue.record("seed \(seed), row \(row), \(name): \(pair.0 ?? "null") instead of \(pair.1 ?? "null")")
                }
            }
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
    private func pyarrow(_ arguments: [String], script: String) throws -> String? {
        let environment = ProcessInfo.processInfo.environment
        let cache = environment["XDG_CACHE_HOME"] ?? NSHomeDirectory() + "/.cache"
        let python = Process()
        python.executableURL = URL(filePath: "/usr/bin/env")
        python.environment = ["PYTHONPATH": "\(cache)/sluice/pyarrow-26.0.0", "PATH": environment["PATH"] ?? "/usr/bin", "PYTHONUTF8": "1"]
        python.arguments = ["python3", "-c", script] + arguments
        let output = Pipe()
        python.standardOutput = output
        try python.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        python.waitUntilExit()
        return python.terminationStatus == 0 ? text : nil
    }
}
