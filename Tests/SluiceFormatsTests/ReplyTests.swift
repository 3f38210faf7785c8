import SluiceCore
import SluiceFormats
import Testing

@Suite struct ReplyTests {
    private func call() -> JSONCall { JSONCall([plan(.uint64)]) }

    private func show(_ answer: JSONAnswer) -> String {
        switch answer {
        case .tables(let tables): tables[0].rowCount == 1 ? "row \(tables[0].columns[0].uint64(0) ?? 0)" : "\(tables[0].rowCount) rows"
        case .null: "null"
        case .value(let text): "value \(text)"
        case .error(let code, let message): "error \(code) \(message)"
        case .unanswered: "unanswered"
        }
    }

    @Test("replies of a batch find their calls in any order, and what is missing is told")
    func batch() throws {
        let body =
            #"[{"id":3,"result":null},{"jsonrpc":"2.0","result":{"k":"0x7"},"id":1},{"id":4,"error":{"code":-32000,"message":"no"}}]"#
        let answers = try read(body, call(), call(), call(), call())
        #expect(answers.map(show) == ["row 7", "unanswered", "null", "error -32000 no"])
    }

    @Test(
        "what a reply says is understood",
        arguments: [
            (#"{"id":1,"result":{"k":"0x5"}}"#, "row 5"),
            (#" { "result" : {"k":"0x5"} , "id" : 1 } "#, "row 5"),
            (#"{"id":1,"result":[{"k":"0x5"},{"k":"0x6"}]}"#, "2 rows"),
            (#"{"id":1,"result":[]}"#, "0 rows"),
            (#"{"id":1,"result":null}"#, "null"),
            (#"{"id":1,"result":{"k":"0x5"},"error":null}"#, "row 5"),
            (#"{"id":1,"error":null,"result":{"k":"0x5"}}"#, "row 5"),
            (#"{"id":1,"result":null,"error":{"code":-1,"message":"later"}}"#, "error -1 later"),
            (#"{"id":1,"error":{"message":"m","data":{"x":1},"code":7}}"#, "error 7 m"),
            (#"{"id":1,"error":{"code":"none","message":"m"}}"#, "error 0 m"),
            (#"{"id":1,"error":{}}"#, "error 0 "),
            (#"{"id":1,"error":"over"}"#, "error 0 over"),
            (#"{"id":null,"error":{"code":-32700,"message":"parse"}}"#, "error -32700 parse"),
            (#"{"error":{"code":-32700,"message":"parse"}}"#, "error -32700 parse"),
            (#"{"id":null,"result":{"k":"0x5"}}"#, "row 5"),
        ])
    func single(body: String, expected: String) throws {
        #expect(try read(body, call()).map(show) == [expected])
    }

    @Test("an error without an id speaks for all calls of a batch")
    func refusedBatch() throws {
        let answers = try read(#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no batches"}}"#, call(), call())
        #expect(answers.map(show) == ["error -32600 no batches", "error -32600 no batches"])
    }

    @Test("a single value is its JSON text without quotes")
    func value() throws {
        for (json, text) in [(#""0x1""#, "0x1"), ("true", "true"), (" 12 ", "12"), (#"{"a":1}"#, #"{"a":1}"#), ("[1, 2]", "[1, 2]")] {
            #expect(try read("{\"id\":1,\"result\":\(json)}", JSONCall([])).map(show) == ["value \(text)"])
        }
        #expect(try read(#"{"id":1,"result":null}"#, JSONCall([])).map(show) == ["null"])
    }

    @Test(
        "what is no reply to the calls is refused",
        arguments: [
            "", " ", "5", "null", "\"text\"", "{}", "[5]", "[[]]", "{", "[", "}", "\u{feff}{\"id\":1,\"result\":null}",
            #"{"id":1}"#, #"{"id":1,"error":null}"#, #"{"id":1,"error":5}"#, #"{"result":null}"#,
            #"{"id":0,"result":null}"#, #"{"id":2,"result":null}"#, #"{"id":"1","result":null}"#, #"{"id":1.5,"result":null}"#,
            #"{"id":-9223372036854775808,"result":null}"#, #"{"id":99999999999999999999,"result":null}"#,
            #"{"id":1,"id":1,"result":null}"#, #"{"id":1,"result":null,"result":null}"#,
            #"[{"id":1,"result":null},{"id":1,"result":null}]"#,
            #"{"id":1,"result":{"k":"0x1"},"error":{"code":1,"message":"both"}}"#,
            #"{"id":1,"result":5}"#, #"{"id":1,"result":"0x1"}"#, #"{"id":1,"result":nul}"#,
            #"{"id":1,"result":null} x"#, #"{"id":1,"result":null}{}"#, #"{"id":1,"result":null},"#, #"[{"id":1,"result":null}] 1"#,
            #"[{"id":1,"result":null},]"#, #"{"id":1 "result":null}"#, #"{"id":1,"result":{"k":"0x1"}"#,
        ])
    func refused(_ body: String) throws {
        let error = #expect(throws: SluiceError.self) { try read(body, call()) }
        #expect(error?.code == .malformedReply && error?.class == .endpoint)
    }

    @Test("a result of another shape than the call expects is refused")
    func shape() throws {
        let one = JSONCall([plan(.uint64)], shape: .object)
        let many = JSONCall([plan(.uint64)], shape: .array)
        #expect(try read(#"{"id":1,"result":{"k":"0x5"}}"#, one).map(show) == ["row 5"])
        #expect(try read(#"{"id":1,"result":[{"k":"0x5"}]}"#, many).map(show) == ["row 5"])
        #expect(throws: SluiceError.self) { try read(#"{"id":1,"result":[]}"#, one) }
        #expect(throws: SluiceError.self) { try read(#"{"id":1,"result":{"k":"0x5"}}"#, many) }
    }

    // MARK: damage

    private static let child = JSONPlan(name: "child", keys: [JSONKey("v", .value("v", .bytes))], parent: "parent", extra: "extra")
    private static let thing = JSONPlan(
        name: "thing",
        keys: [
            JSONKey("q", .value("q", .uint64)), JSONKey("f", .value("f", .fixedBytes(20))),
            JSONKey("w", .value("w", .uint256), nullable: true),
            JSONKey("b", .value("b", .bool), nullable: true), JSONKey("t", .spread(["t0", "t1"], width: 32)),
            JSONKey("j", .value("j", .json), nullable: true), JSONKey("r", .rows(child: 1, count: "rows")), JSONKey("n", .count("n")),
        ], extra: "extra")
    private static let calls = [JSONCall([thing, child]), JSONCall([thing, child], shape: .array), JSONCall([])]
    private static let body = Array(
        """
        [{"jsonrpc":"2.0","id":2,"result":[{"q":"0x12","f":"0x\(String(repeating: "a1", count: 20))","w":null,"b":true,"t":[],
        "j":[{"a":"\\u00e9"}],
        "r":[{"v":"0x"},{"v":"0x0102","unknown":[{}]}],"n":[1,2]}]},{"jsonrpc":"2.0","id":1,"result":{"q":"0x0",
        "f":"0x\(String(repeating: "B2", count: 20))",
        "w":"0x\(String(repeating: "f", count: 64))","t":["0x\(String(repeating: "07", count: 32))"],"r":[],"n":[],"new":{"deep":["é"]}}},
        {"jsonrpc":"2.0","id":3,"result":"0x1"}]
        """.utf8)

    /// What every answer must be, whatever was read: columns as long as their table, offsets that stay inside, text that is text.
    private func check(_ answers: [JSONAnswer]) {
        #expect(answers.count == Self.calls.count)
        for case .tables(let tables) in answers {
            for table in tables {
                #expect(table.columns.allSatisfy { $0.count == table.rowCount })
                for column in table.columns {
                    var bytes = 0
                    for row in 0..<column.count { bytes += column.bytes(row).count }
                    #expect(bytes == column.values.count)
                }
            }
        }
    }

    @Test("a reply that ends at any byte is refused")
    func truncated() throws {
        check(try read(Self.body, Self.calls))
        for end in 0..<Self.body.count {
            #expect(throws: SluiceError.self, "after byte \(end)") { try read(Array(Self.body[..<end]), Self.calls) }
        }
        let single = Array(#"{"jsonrpc":"2.0","id":1,"result":{"k":"0x1"}}"#.utf8)
        for end in 0..<single.count {
            #expect(throws: SluiceError.self, "after byte \(end)") { try read(Array(single[..<end]), [call()]) }
        }
    }

    @Test("a damaged reply is refused, or read into whole columns; never anything else")
    func mutated() throws {
        var random = SeededRandom(seed: 0xF00D)
        let pieces = ["\"", "\\", "{", "}", "[", "]", ",", ":", "null", "0x", "\u{0}", "id", "result", "error", "-1", "e9", " "].map {
            Array($0.utf8)
        }
        let reader = JSONReader()
        var refused = 0
        for _ in 0..<20_000 {
            var body = Self.body
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 0..<body.count, using: &random)
                switch Int.random(in: 0..<5, using: &random) {
                case 0: body[place] = UInt8.random(in: 0...255, using: &random)
                case 1: body.remove(at: place)
                case 2: body.insert(contentsOf: pieces[Int.random(in: 0..<pieces.count, using: &random)], at: place)
                case 3:
                    let other = Int.random(in: place..<body.count, using: &random)
                    body.removeSubrange(place..<min(other, place + 40))
                default:
                    let other = Int.random(in: place..<body.count, using: &random)
                    body.insert(contentsOf: body[place..<min(other, place + 60)], at: Int.random(in: 0..<body.count, using: &random))
                }
                if body.isEmpty { body = [0] }
            }
            let buffer = Buffer(copying: body, padding: JSONReader.padding)
            do { check(try reader.read(buffer, firstID: 1, calls: Self.calls)) } catch {
                #expect(error.code == .malformedReply)
                refused += 1
            }
        }
        #expect(refused > 10_000 && refused < 20_000)
    }

    @Test("a deep nest is refused without harm")
    func deep() throws {
        for depth in [100, 2_000, 100_000] {
            let nest = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
            let body = #"{"id":1,"result":{"k":\#(nest)}}"#
            if depth <= 100 {
                #expect(try read(body, JSONCall([plan(.json)])).count == 1)
            } else {
                #expect(throws: SluiceError.self) { try read(body, JSONCall([plan(.json)])) }
            }
        }
    }
}
