import SluiceCommand
import SluiceCore
import Testing

@Suite struct TextTests {
    @Test(
        "digits are grouped by three",
        arguments: [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567"), (UInt64.max, "18,446,744,073,709,551,615")]
            as [(UInt64, String)])
    func grouped(_ value: UInt64, _ text: String) { #expect(Amount.grouped(value) == text) }

    @Test(
        "times read as people say them",
        arguments: [
            (0, "0.0s"), (9.94, "9.9s"), (9.96, "10s"), (59.4, "59s"), (59.6, "1m 00s"), (185, "3m 05s"), (7800, "2h 10m"),
            (356_400, "4d 3h"),
        ])
    func times(_ seconds: Double, _ text: String) { #expect(Amount.time(seconds) == text) }

    @Test("what is not known is a dash", arguments: [nil, .nan, .infinity, -1] as [Double?])
    func unknown(_ value: Double?) {
        #expect(Amount.time(value) == "-")
        #expect(Amount.rate(value) == "-")
    }

    @Test(
        "bytes have one decimal and a unit of powers of ten",
        arguments: [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (999_960, "1.0 MB"), (2.5e9, "2.5 GB")])
    func bytes(_ value: Double, _ text: String) { #expect(Amount.bytes(value) == text) }

    @Test("rates have a decimal below a hundred only", arguments: [(0.04, "0.0"), (99.94, "99.9"), (100, "100"), (1234.5, "1,235")])
    func rates(_ value: Double, _ text: String) { #expect(Amount.rate(value) == text) }

    @Test("a cut text keeps its styles whole and ends them")
    func cut() {
        #expect(Visible.cut("abcdef", 4) == "abc…")
        #expect(Visible.cut("abcd", 4) == "abcd")
        let styled = Style(isColoured: true).red("abcdef")
        #expect(Visible.width(styled) == 6)
        #expect(Visible.cut(styled, 4) == "\u{1B}[31mabc…\u{1B}[0m")
    }

    @Test("a wide character counts twice") func wide() { #expect(Visible.width("中a") == 3) }

    @Test("control characters are shown, not sent to the terminal")
    func safe() {
        #expect(Visible.safe("a\u{1B}[2Jb\r\n\u{9B}c") == "a\\u{1b}[2Jb\\r\\n\\u{9b}c")
        #expect(Visible.safe("plain ü") == "plain ü")
    }

    @Test(
        "colour is for terminals, unless the environment says otherwise",
        arguments: [
            (true, [:], true), (false, [:], false), (true, ["NO_COLOR": "1"], false), (true, ["NO_COLOR": ""], true),
            (false, ["CLICOLOR_FORCE": "1"], true), (false, ["CLICOLOR_FORCE": "0"], false), (true, ["TERM": "dumb"], false),
            (true, ["CLICOLOR_FORCE": "1", "NO_COLOR": "1"], false), (true, ["CLICOLOR": "0"], false),
        ] as [(Bool, [String: String], Bool)])
    func colour(_ isTerminal: Bool, _ variables: [String: String], _ wanted: Bool) {
        #expect(Style.wantsColour(isTerminal: isTerminal) { variables[$0] } == wanted)
    }

    @Test("a table aligns its columns and leaves no spaces at the end")
    func table() {
        var table = TextTable(["name", "count"], right: [1])
        table.add(["blocks", "7"])
        table.add(["x", "1,234"])
        #expect(table.lines() == ["name    count", "------  -----", "blocks      7", "x       1,234"])
    }

    @Test("JSON escapes what must be, and keeps integers exact")
    func json() {
        let value = JSON.members([
            "a\"b": .string("x\n\\\u{1}\u{7F}"), "big": .integer(9_007_199_254_740_993 as UInt64),
            "small": .integer(9_007_199_254_740_992 as UInt64),
            "none": .null, "list": .array([true, 1, "é"]),
        ])
        #expect(
            value.compact
                == #"{"a\"b":"x\n\\\u0001\u007f","big":"9007199254740993","small":9007199254740992,"none":null,"list":[true,1,"é"]}"#)
        #expect(JSON.array([]).pretty() == "[]")
        #expect(JSON.array([1, 2]).pretty() == "[\n  1,\n  2\n]")
    }

    @Test("JSON from outside is shown line by line, its words as they came")
    func indented() {
        #expect(
            JSON.indented(#" {"a" :[1,-2.50e+3 , {}],"b":{"c":"\"x\u0041","c":null},"d":[],"e":true}"#) == #"""
                {
                  "a": [
                    1,
                    -2.50e+3,
                    {}
                  ],
                  "b": {
                    "c": "\"x\u0041",
                    "c": null
                  },
                  "d": [],
                  "e": true
                }
                """#)
        #expect(JSON.indented("[1]", indent: "    ") == "    [\n      1\n    ]")
        #expect(JSON.indented("\"a\u{202E}b\u{9B}\"") == "\"a\\u{202e}b\\u{9b}\"")
        #expect(JSON.indented("123456789012345678901234567890") == "123456789012345678901234567890")
    }

    @Test(
        "what is no JSON is not shown as such",
        arguments: [
            "", "{", "[1", "[1,]", "{\"a\"}", "{\"a\":}", "{a:1}", "[1 2]", "[1]x", "\"a", "\"a\\", "\"a\nb\"", "nul", "-", "1e",
            "{\"a\":1,}", "]",
            String(repeating: "[", count: 100_000), "\"a\\\nb\"",
        ])
    func notIndented(_ text: String) { #expect(JSON.indented(text) == nil) }

    @Test("JSON that was written is read again, whatever is in it", arguments: 0..<100 as Range<UInt64>)
    func indentedAgain(_ seed: UInt64) {
        var random = SeededRandom(seed: seed)
        func value(_ depth: Int) -> JSON {
            switch Int.random(in: 0..<(depth > 0 ? 6 : 4), using: &random) {
            case 0: .integer(Int64.random(in: .min ... .max, using: &random))
            case 1: .string(String((0..<4).map { _ in ["a", "\"", "\\", "\n", "é", "/"].randomElement(using: &random) ?? "" }.joined()))
            case 2: .bool(Bool.random(using: &random))
            case 3: .null
            case 4: .array((0..<Int.random(in: 0...3, using: &random)).map { _ in value(depth - 1) })
            default: .object((0..<Int.random(in: 0...3, using: &random)).map { JSON.Member("k\($0)", value(depth - 1)) })
            }
        }
        let one = value(4)
        #expect(JSON.indented(one.compact) == one.pretty())
        #expect(JSON.indented(one.pretty()) == one.pretty())
    }
}
