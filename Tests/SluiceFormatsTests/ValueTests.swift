import SluiceCore
import SluiceFormats
import Testing

@Suite struct ValueTests {
    struct Good: CustomTestStringConvertible, Sendable {
        let type: LogicalType
        let json: String
        let expected: [UInt8]
        init(_ type: LogicalType, _ json: String, _ expected: [UInt8]) { (self.type, self.json, self.expected) = (type, json, expected) }
        var testDescription: String { "\(type.name) \(json.prefix(40))" }
    }

    static let f63 = String(repeating: "f", count: 63)

    @Test(
        "a good value is stored as it is",
        arguments: [
            Good(.uint64, #""0x0""#, bytes(UInt64(0))),
            Good(.uint64, #""0xffffffffffffffff""#, bytes(UInt64.max)),
            Good(.uint64, #""0x0000000000000000000000000000000001f""#, bytes(UInt64(31))),
            Good(.uint64, #""0XaBcD""#, bytes(UInt64(0xabcd))),
            Good(.int64, #""0x7fffffffffffffff""#, bytes(Int64.max)),
            Good(.timestamp, #""0x8637bd05af6""#, bytes(Int64(9_223_372_036_854 * 1_000_000))),
            Good(.timestamp, #""0x6553f100""#, bytes(Int64(1_700_000_000_000_000))),
            Good(.decimal, #""0x7fffffffffffffffffffffffffffffff""#, bytes(Int128.max)),
            Good(.decimal, #""0x10000000000000000""#, bytes(UInt128(1) << 64)),
            Good(.uint256, "\"0xf\(f63)\"", [UInt8](repeating: 0xff, count: 32)),
            Good(
                .uint256, #""0x123456789abcdef0fedcba9876543210aa""#,
                bytes(UInt128(0x3456_789a_bcde_f0fe) << 64 | 0xdcba_9876_5432_10aa) + [0x12] + [UInt8](repeating: 0, count: 15)),
            Good(.fixedBytes(3), #""0x00fF7a""#, [0, 0xff, 0x7a]),
            Good(.bytes, #""0x""#, []),
            Good(.bytes, #""0x0123""#, [1, 0x23]),
            Good(.bool, "true", [1]),
            Good(.bool, "false", [0]),
            Good(
                .json, #" {"a" : [1, -2.5e+3, "x\"\\é\u00e9", null, {}, []]}  "#,
                Array(#"{"a" : [1, -2.5e+3, "x\"\\é\u00e9", null, {}, []]}"#.utf8)),
            Good(.json, "[ ]", Array("[ ]".utf8)),
            Good(.json, "-0.5", Array("-0.5".utf8)),
            Good(.json, #""text""#, Array(#""text""#.utf8)),
            Good(.json, "true", Array("true".utf8)),
        ])
    func good(_ value: Good) throws {
        let column = try tables(#"{"k":\#(value.json)}"#, plan(value.type))[0].columns[0]
        #expect(column.count == 1 && column.nullCount == 0)
        #expect(column.array(0) == value.expected)
    }

    struct Bad: CustomTestStringConvertible, Sendable {
        let type: LogicalType
        let json: String
        let message: String
        init(_ type: LogicalType, _ json: String, _ message: String) { (self.type, self.json, self.message) = (type, json, message) }
        var testDescription: String { "\(type.name) \(json.prefix(40))" }
    }

    @Test(
        "a bad value is refused with its place",
        arguments: [
            Bad(.uint64, "5", "is not a quantity"),
            Bad(.uint64, "{}", "is not a quantity"),
            Bad(.uint64, "true", "is not a quantity"),
            Bad(.uint64, #""5""#, "is not a quantity"),
            Bad(.uint64, #""""#, "is not a quantity"),
            Bad(.uint64, #""0x""#, "no hex digit"),
            Bad(.uint64, #""0x-1""#, "no hex digit"),
            Bad(.uint64, #""0x1g""#, "no hex digit"),
            Bad(.uint64, #""0x10000000000000000""#, "does not fit"),
            Bad(.uint64, #""0x1000000000000000g""#, "no hex digit"),
            Bad(.int64, #""0x8000000000000000""#, "does not fit"),
            Bad(.timestamp, #""0x8637bd05af7""#, "does not fit"),
            Bad(.decimal, #""0x80000000000000000000000000000000""#, "does not fit"),
            Bad(.uint256, "\"0x1\(f63)f\"", "does not fit"),
            Bad(.fixedBytes(2), #""0x012""#, "is not 0x and 4 hex digits"),
            Bad(.fixedBytes(2), #""0x012345""#, "is not 0x and 4 hex digits"),
            Bad(.fixedBytes(2), #""0x01 3""#, "no hex digit"),
            Bad(.bytes, #""0x123""#, "an even number of hex digits"),
            Bad(.bytes, #""0x12\n4""#, "hex digit"),
            Bad(.bytes, "null", "is missing or null"),
            Bad(.bytes, "nul", "no valid JSON"),
            Bad(.bool, #""true""#, "is not true or false"),
            Bad(.bool, "tru", "is not true or false"),
            Bad(.json, "{\"a\" 1}", "no valid JSON"),
            Bad(.json, "[1,]", "no valid JSON"),
            Bad(.json, "truth", "no valid JSON"),
            Bad(.json, "01", "no valid JSON"),
            Bad(.json, "1.", "no valid JSON"),
            Bad(.json, #""\x""#, "no valid JSON"),
            Bad(.json, #""\u12g4""#, "no valid JSON"),
        ])
    func bad(_ value: Bad) throws {
        let error = #expect(throws: SluiceError.self) { try tables(#"{"k":\#(value.json)}"#, plan(value.type)) }
        #expect(error?.class == .endpoint && error?.code == .malformedReply)
        #expect(error?.message.contains("thing 0") == true, "\(error?.message ?? "")")
        #expect(error?.message.contains(value.message) == true, "\(error?.message ?? "")")
    }

    @Test(
        "what may be missing is null, whether it is missing or null; what may not is refused",
        arguments: [
            LogicalType.uint64, .int64, .timestamp, .decimal, .uint256, .fixedBytes(32), .bytes, .json, .bool,
        ])
    func missing(_ type: LogicalType) throws {
        for json in ["{}", #"{"k":null}"#] {
            let column = try tables(json, plan(type, nullable: true))[0].columns[0]
            #expect(column.count == 1 && column.nullCount == 1 && column.isNull(0))
            #expect(throws: SluiceError.self) { try tables(json, plan(type)) }
        }
        #expect(throws: SluiceError.self) { try tables(#"{"k":null,"k":null}"#, plan(type, nullable: true)) }
    }

    @Test("hex of every length is decoded as digit by digit, and one bad digit anywhere is found")
    func hex() throws {
        var random = SeededRandom(seed: 3)
        for length in Array(0...70) + [127, 128, 129, 1000] {
            let value = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
            let digits = value.flatMap { [$0 >> 4, $0 & 15] }.map { nibble -> Character in
                let digit = String(nibble, radix: 16, uppercase: Bool.random(using: &random))
                return Character(digit)
            }
            let text = String(digits)
            #expect(try tables("{\"k\":\"0x\(text)\"}", plan(.bytes))[0].columns[0].array(0) == value)
            guard length > 0, length <= 70 else { continue }
            #expect(try tables("{\"k\":\"0x\(text)\"}", plan(.fixedBytes(length)))[0].columns[0].array(0) == value)
            for place in 0..<digits.count {
                var wrong = digits
                wrong[place] = ["g", "G", "/", ":", "@", "`", " ", "\u{7f}", "P", "x"][Int.random(in: 0..<10, using: &random)]
                #expect(throws: SluiceError.self, "digit \(place) of \(digits.count)") {
                    try tables("{\"k\":\"0x\(String(wrong))\"}", plan(.bytes))
                }
            }
        }
    }

    @Test("arrays are counted, spread over columns, and read as rows of a child that name their parent")
    func arrays() throws {
        let child = JSONPlan(name: "child", keys: [JSONKey("v", .value("v", .uint64))], parent: "parent")
        let parent = JSONPlan(
            name: "parent",
            keys: [
                JSONKey("n", .count("n")), JSONKey("s", .spread(["s0", "s1"], width: 2), nullable: true),
                JSONKey("r", .rows(child: 1, count: "rows"), nullable: true), JSONKey("skipped", .skip),
            ])
        let out = try tables(
            """
            [{"n":[1,"two",{"x":[]}],"s":["0x0102"],"r":[{"v":"0x1"},{"v":"0x2"}],"skipped":{"deep":[[[]]]}},
             {"s":[],"n":[],"r":[]},{"n":[[]]},{"n":[],"s":["0x0a0b","0x0c0d"],"r":[{"v":"0x3"}]}]
            """, parent, child)
        #expect(out[0].rowCount == 4 && out[1].rowCount == 3)
        #expect((0..<4).map { out[0].column("n").load($0, as: Int64.self) } == [3, 0, 1, 0])
        #expect((0..<4).map { out[0].column("s0").array($0) } == [[1, 2], nil, nil, [10, 11]])
        #expect((0..<4).map { out[0].column("s1").array($0) } == [nil, nil, nil, [12, 13]])
        #expect((0..<4).map { out[0].column("rows").isNull($0) ? nil : out[0].column("rows").load($0, as: Int64.self) } == [2, 0, nil, 1])
        #expect((0..<3).map { out[1].column("parent").uint64($0) } == [0, 0, 3])
        #expect((0..<3).map { out[1].column("v").uint64($0) } == [1, 2, 3])
        for bad in [
            #"{"n":{}}"#, #"{"n":5}"#, #"{"n":[],"s":["0x0102","0x0304","0x0506"]}"#, #"{"n":[],"s":["0x01"]}"#, #"{"n":[],"s":[null]}"#,
            #"{"n":[],"r":[1]}"#, #"{"n":[],"r":[null]}"#, #"{"n":[],"r":{}}"#, #"{"n":[],"r":[{}]}"#, #"{"n":[],"skipped":1,"skipped":2}"#,
        ] {
            #expect(throws: SluiceError.self, "\(bad)") { try tables(bad, parent, child) }
        }
    }

    @Test("the same keys in any order, changing from object to object, give the same columns")
    func order() throws {
        var random = SeededRandom(seed: 11)
        let names = (0..<12).map { "key\($0)" }
        let plan = JSONPlan(name: "thing", keys: names.map { JSONKey($0, .value($0, .uint64), nullable: true) }, extra: "extra")
        var objects: [String] = []
        var expected: [[UInt64?]] = []
        for _ in 0..<300 {
            let values = names.map { _ in
                Int.random(in: 0..<5, using: &random) == 0 ? nil : UInt64.random(in: 0...UInt64.max, using: &random)
            }
            var members = zip(names, values).compactMap { name, value in value.map { "\"\(name)\":\"\(Hex.quantity($0))\"" } }
            if Bool.random(using: &random) { members.append(#""key":1"#) }
            objects.append("{" + members.shuffled(using: &random).joined(separator: ",") + "}")
            expected.append(values)
        }
        let table = try tables("[" + objects.joined(separator: ",") + "]", plan)[0]
        #expect(table.rowCount == 300)
        for row in 0..<300 { #expect(names.map { table.column($0).uint64(row) } == expected[row]) }
        #expect(Set((0..<300).map { table.column("extra").text($0) }) == [nil, #"{"key":1}"#])
    }

    @Test("unknown keys are kept as they came")
    func extra() throws {
        let plan = JSONPlan(name: "thing", keys: [JSONKey("k", .value("c", .uint64))], extra: "extra")
        let table = try tables(
            #"[{"a\"b":"x\\\"y","k":"0x1", "n" : {"deep":[1,{"é":"\u00e9"}]} ,"l":[ 1 , 2 ],"z":null},{"k":"0x2"},"#
                + #"{"k":"0x3","t":true,"f":-1.5}]"#,
            plan)[0]
        #expect(table.column("extra").text(0) == #"{"a\"b":"x\\\"y","n":{"deep":[1,{"é":"\u00e9"}]},"l":[ 1 , 2 ],"z":null}"#)
        #expect(table.column("extra").text(1) == nil)
        #expect(table.column("extra").text(2) == #"{"t":true,"f":-1.5}"#)
        // Without a column for them they are left out.
        #expect(
            try tables(#"{"k":"0x1","other":[{}]}"#, JSONPlan(name: "x", keys: [JSONKey("k", .value("c", .uint64))]))[0].columns.count == 1)
    }
}
