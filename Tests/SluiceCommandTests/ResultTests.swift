import SluiceCommand
import SluiceDuckDB
import Testing

@Suite struct ResultTests {
    /// One row with something of everything.
    private static let values: [DuckDBValue] = [
        .null, .bool(true), .int(.min), .uint(.max), .int128(.min), .uint128(.max),
        .bignum("115792089237316195423570985008687907853269984665640564039457584007913129639935"), .float(1.5), .double(-0.25),
        .decimal("-12.340"),
        .text("a,\"b\"\r\nc"), .text(""), .blob([0, 255, 16]), .date(19_716), .time(1), .timestamp(1_700_000_000_000_000, utc: false),
        .timestamp(0, utc: true), .interval(months: 1, days: -2, micros: 3),
    ]

    private func written(_ make: (@escaping TextSink) -> any ResultWriter, _ columns: [String], _ rows: [[DuckDBValue]]) -> String {
        var text = ""
        var writer = make { text += $0 }
        writer.begin(columns)
        if !rows.isEmpty { writer.rows(rows) }
        writer.end()
        return text
    }

    @Test("CSV quotes as RFC 4180 says, and tells null from empty text")
    func csv() {
        let text = written({ CSVResultWriter($0) }, ["a", "b,c", "d", "e"], [[.null, .text("x\"y"), .text(""), .text("1\r\n2")]])
        #expect(text == "a,\"b,c\",d,e\r\n,\"x\"\"y\",\"\",\"1\r\n2\"\r\n")
    }

    @Test("JSON is an array of objects, with exact integers and hex")
    func json() {
        let text = written(
            { JSONResultWriter($0) }, ["n", "big", "b", "d"],
            [[.int(5), .bignum("9007199254740993"), .blob([0xAB, 1]), .double(.nan)], [.null, .bignum("7"), .null, .double(0.5)]])
        #expect(
            text
                == "[\n{\"n\":5,\"big\":\"9007199254740993\",\"b\":\"0xab01\",\"d\":\"nan\"},\n{\"n\":null,\"big\":7,\"b\":null,\"d\":0.5}\n]\n"
        )
        #expect(written({ JSONResultWriter($0) }, ["n"], []) == "[]\n")
    }

    @Test("a table aligns numbers to the right and shows nulls")
    func table() {
        let text = written(
            { TableResultWriter(style: .plain, shortens: false, $0) }, ["id", "name"], [[.int(7), .text("x")], [.int(1234), .null]])
        #expect(text == "  id  name\n----  ----\n   7  x\n1234  NULL\n")
    }

    @Test("only a terminal gets shortened bytes, and an address stays whole there")
    func shortened() {
        let hash = [UInt8](repeating: 0xAB, count: 32)
        let address = [UInt8](repeating: 0xCD, count: 20)
        let whole = written({ TableResultWriter(style: .plain, shortens: false, $0) }, ["h"], [[.blob(hash)]])
        #expect(whole.contains("0x" + String(repeating: "ab", count: 32)))
        let short = written({ TableResultWriter(style: .plain, shortens: true, $0) }, ["h", "a"], [[.blob(hash), .blob(address)]])
        #expect(short.contains("0xabababab…abababab  0x" + String(repeating: "cd", count: 20)))
    }

    @Test("a table that begins long is written as it comes, rows in order")
    func streamed() {
        let rows = (0..<1200).map { [DuckDBValue.int($0)] }
        let text = written({ TableResultWriter(style: .plain, shortens: false, $0) }, ["n"], rows)
        let numbers = text.split(separator: "\n").dropFirst(2).compactMap { line in Int(line.filter { $0 != " " }) }
        #expect(numbers == Array(0..<1200))
    }

    @Test("text from outside cannot drive the terminal")
    func control() {
        let text = written({ TableResultWriter(style: .plain, shortens: true, $0) }, ["t\u{1B}[2J"], [[.text("a\u{1B}[31m")]])
        #expect(!text.contains("\u{1B}"))
    }

    @Test(
        "every frame comes out of its bytes as it went in",
        arguments: [
            Frame.query("SELECT 'ü'"), .copy(sql: "SELECT 1", path: "/tmp/x", partitions: ["a", "b"]), .columns(["a", ""]), .columns([]),
            .rows([values, values.reversed()]), .rows([]), .done(.max), .failure(code: "c", class: "retry", message: "m", mend: nil),
            .failure(code: "c", class: "fatal", message: "m", mend: "do"),
        ])
    func frames(_ frame: Frame) {
        let bytes = frame.encoded
        var length = 0
        for byte in bytes.prefix(4).reversed() { length = length << 8 | Int(byte) }
        #expect(length == bytes.count - 4)
        #expect(Frame(payload: Array(bytes.dropFirst(4))) == frame)
    }

    @Test("a frame that ends early, goes on too long or is of no kind is none")
    func damaged() {
        let payload = Array(Frame.rows([Self.values]).encoded.dropFirst(4))
        for count in 0..<payload.count { #expect(Frame(payload: Array(payload.prefix(count))) == nil) }
        #expect(Frame(payload: payload + [0]) == nil)
        #expect(Frame(payload: [99]) == nil)
        // Rows beyond counting must not be believed before they are there.
        #expect(Frame(payload: [4, 255, 255, 255, 255, 255, 255, 255, 255]) == nil)
        #expect(Frame(payload: [4, 255, 255, 255, 255, 0, 0, 0, 0]) == nil)
    }
}
