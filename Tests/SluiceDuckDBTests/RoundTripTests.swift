import SluiceCore
import SluiceDuckDB
import Testing

@Suite struct RoundTripTests {
    static let schema = Schema(
        name: "t", key: [], doc: "",
        fields: [
            Field("flag", .bool, nullable: true, ""), Field("i", .int64, nullable: true, ""), Field("u", .uint64, nullable: true, ""),
            Field("f", .float64, nullable: true, ""), Field("d", .decimal, nullable: true, ""), Field("w", .uint256, nullable: true, ""),
            Field("at", .timestamp, nullable: true, ""), Field("s", .string, nullable: true, ""), Field("b", .bytes, nullable: true, ""),
            Field("h", .fixedBytes(20), nullable: true, ""), Field("j", .json, nullable: true, ""),
        ])

    /// A row of values, in the order of the fields above.
    struct Row {
        var flag: UInt8
        var i: Int64
        var u: UInt64
        var f: Double
        var d: Int128
        var w: UInt256
        var at: Int64
        var s: String
        var b: [UInt8]
        var h: [UInt8]
    }

    static func table(_ rows: [Row?]) -> Table {
        var columns = schema.fields.map { ColumnBuilder($0.type) }
        for row in rows {
            guard let row else {
                for index in columns.indices { columns[index].appendNull() }
                continue
            }
            columns[0].append(row.flag)
            columns[1].append(row.i)
            columns[2].append(row.u)
            columns[3].append(row.f)
            columns[4].append(row.d)
            columns[5].append(row.w)
            columns[6].append(row.at)
            columns[7].append(row.s)
            columns[8].append(bytes: row.b)
            columns[9].append(bytes: row.h)
            columns[10].append("{\"k\": [1, null]}")
        }
        return Table(schema: schema, columns: columns.map { $0.finish() }, rowCount: rows.count)
    }

    static func session() throws -> DuckDBSession {
        let session = try DuckDBDatabase(path: nil).connect()
        let columns = ScanColumn.native(schema).map { "\(DuckDBSession.quoted($0.name)) \($0.sqlType)" }.joined(separator: ", ")
        try session.execute("CREATE TABLE t (\(columns))")
        return session
    }

    @Test("extremes, nulls, hostile text and bytes of every length come back as they went in")
    func extremes() throws {
        let hostile = "a'\"; DROP TABLE t; --\u{0}\n\u{1F600}é\u{FFFD}"
        let rows: [Row?] = [
            Row(
                flag: 0, i: .min, u: .min, f: -.infinity, d: -99_999_999_999_999_999_999_999_999_999_999_999_999, w: .zero, at: 0, s: "",
                b: [], h: .init(repeating: 0, count: 20)),
            nil,
            Row(
                flag: 1, i: .max, u: .max, f: .greatestFiniteMagnitude, d: 99_999_999_999_999_999_999_999_999_999_999_999_999, w: .max,
                at: 253_402_300_799_999_999, s: hostile, b: Array(0...255), h: .init(repeating: 255, count: 20)),
            Row(
                flag: 1, i: -1, u: 1, f: -0.0, d: 1, w: UInt256(low: UInt128(UInt64.max) + 1), at: -1, s: "exactly12byt",
                b: .init(repeating: 7, count: 12), h: Array(1...20)),
            Row(
                flag: 0, i: 0, u: 0, f: .leastNonzeroMagnitude, d: 0, w: UInt256(low: .max), at: 1, s: "thirteen byte",
                b: .init(repeating: 9, count: 13), h: Array(21...40)),
        ]
        let session = try Self.session()
        try session.insert([TableSlice(Self.table(rows))], into: "t")
        let found = try session.rows("SELECT * FROM t")
        #expect(found.count == rows.count)
        for (row, values) in zip(rows, found) {
            guard let row else {
                #expect(values.allSatisfy { $0 == .null })
                continue
            }
            let expected: [DuckDBValue] = [
                .bool(row.flag == 1), .int(row.i), .uint(row.u), .double(row.f), .int128(row.d), .bignum(row.w.description),
                .timestamp(row.at, utc: false), .text(row.s), .blob(row.b), .blob(row.h), .text("{\"k\": [1, null]}"),
            ]
            #expect(values == expected)
        }
    }

    @Test(
        "amounts of 256 bits keep every bit, in DuckDB's own digits",
        arguments: [
            // From Python: 0, 1, 2**63, 2**72 - 1, 2**72, 2**128 - 1, 2**128, 2**256 - 1.
            "0", "1", "9223372036854775808", "4722366482869645213695", "4722366482869645213696",
            "340282366920938463463374607431768211455", "340282366920938463463374607431768211456",
            "115792089237316195423570985008687907853269984665640564039457584007913129639935",
        ])
    func amounts(digits: String) throws {
        let amount = try #require(UInt256(decimal: digits))
        let session = try Self.session()
        let row = Row(flag: 0, i: 0, u: 0, f: 0, d: 0, w: amount, at: 0, s: "", b: [], h: .init(repeating: 0, count: 20))
        try session.insert([TableSlice(Self.table([row]))], into: "t")
        let found = try session.rows("SELECT w::VARCHAR, w = '\(digits)'::BIGNUM, w + 1::BIGNUM > w, w FROM t")
        #expect(found == [[.text(digits), .bool(true), .bool(true), .bignum(digits)]])
        let parquet = try session.scanning([TableSlice(Self.table([row]))], as: ScanColumn.parquet(Self.schema)) {
            try session.rows("SELECT w, w_f64 FROM \($0)")
        }
        #expect(parquet == [[.text(digits), .double(Double(digits) ?? .nan)]])
    }

    @Test("random amounts survive, and sum exactly")
    func randomAmounts() throws {
        var random = SeededRandom(seed: 11)
        var rows: [Row?] = []
        for index in 0..<3000 {
            let bits = Int(random.next() % 250)
            var bytes = [UInt8](repeating: 0, count: 32)
            for at in 0...bits / 8 { bytes[31 - at] = UInt8(truncatingIfNeeded: random.next()) }
            let amount = try #require(UInt256(bigEndian: bytes))
            rows.append(Row(flag: 0, i: Int64(index), u: 0, f: 0, d: 0, w: amount, at: 0, s: "", b: [], h: .init(repeating: 0, count: 20)))
        }
        let session = try Self.session()
        try session.insert([TableSlice(Self.table(rows))], into: "t")
        let found = try session.rows("SELECT w::VARCHAR FROM t ORDER BY i").map { $0[0] }
        #expect(found == rows.compactMap { $0.map { .text($0.w.description) } })
        let four = try session.rows("SELECT sum(x) FROM (SELECT unnest(['\(UInt256.max)', '\(UInt256.max)', '5'])::BIGNUM AS x)")
        // 2 * (2**256 - 1) + 5, from Python.
        #expect(four == [[.bignum("231584178474632390847141970017375815706539969331281128078915168015826259279875")]])
    }

    @Test("many small tables and slices are read one behind the other, in order")
    func manyTables() throws {
        var slices: [TableSlice] = []
        var expected: [DuckDBValue] = []
        var next: Int64 = 0
        for count in [1, 0, 7, 2048, 2049, 3, 5000, 1] + Array(repeating: 150, count: 60) {
            let rows: [Row?] = (0..<count).map { offset in
                let id = next + Int64(offset)
                // Every seventh row is null but for its text, so that validity crosses chunks and tables at odd places.
                return id % 7 == 0
                    ? nil
                    : Row(
                        flag: 1, i: id, u: 0, f: 0, d: 0, w: .zero, at: 0, s: "row number \(id), long", b: [],
                        h: .init(repeating: 0, count: 20))
            }
            let table = Self.table(rows)
            // The first and the last row of larger tables are left out.
            let range = count > 10 ? 1..<count - 1 : 0..<count
            slices.append(TableSlice(table, rows: range))
            expected += range.map { (next + Int64($0)) % 7 == 0 ? .null : .text("row number \(next + Int64($0)), long") }
            next += Int64(count)
        }
        let session = try Self.session()
        try session.insert(slices, into: "t")
        #expect(try session.rows("SELECT s FROM t").map { $0[0] } == expected)
    }

    @Test(
        "text that is not UTF-8 is refused, wherever it is cut",
        arguments: [
            [[0x61, 0xFF]], [[0xC3], [0xA9]], [[0xED, 0xA0, 0x80]], [[0x80]], [[0xF0, 0x9F, 0x98]], [[0xC0, 0x80]],
            [[0xF4, 0x90, 0x80, 0x80]],
        ]
            as [[[UInt8]]])
    func invalidText(values: [[UInt8]]) throws {
        let schema = Schema(name: "x", key: [], doc: "", fields: [Field("s", .string, "")])
        var column = ColumnBuilder(.string)
        for value in values { column.append(bytes: value) }
        let table = Table(schema: schema, columns: [column.finish()], rowCount: values.count)
        let session = try DuckDBDatabase(path: nil).connect()
        try session.execute("CREATE TABLE x (s VARCHAR)")
        let error = #expect(throws: SluiceError.self) { try session.insert([TableSlice(table)], into: "x") }
        #expect(error?.message.contains("not UTF-8") == true)
        #expect(error?.class == .data)
        #expect(try session.rows("SELECT count(*) FROM x") == [[.int(0)]])
    }

    @Test("a number that names no source is an error, not an address")
    func unknownSource() throws {
        let session = try DuckDBDatabase(path: nil).connect()
        let error = #expect(throws: SluiceError.self) { try session.rows("SELECT * FROM sluice_scan(140000000000)") }
        #expect(error?.message.contains("no source") == true)
    }
}
