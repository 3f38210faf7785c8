import Foundation
import SluiceCore
import SluiceTestKit
import Testing

@testable import InfluxDBConnector

/// What is written, against a reader of line protocol that knows its rules and nothing of ours.
@Suite struct LineTests {
    /// One point as a reader finds it.
    struct Point: Equatable {
        var measurement = ""
        var tags: [String: String] = [:]
        var fields: [String: String] = [:]
        var time = ""
    }

    /// Reads lines by the protocol's rules: outside of quotes a backslash escapes commas, spaces and equals signs, and stands for itself before
    /// anything else; inside of them it escapes quotes and itself.
    struct Reader {
        var rest: Substring.UnicodeScalarView

        init(_ text: String) { rest = Substring(text).unicodeScalars }

        mutating func word(until ends: Set<Unicode.Scalar>) -> String {
            var out = String.UnicodeScalarView()
            while let next = rest.first, !ends.contains(next) {
                rest.removeFirst()
                if next == "\\", let escaped = rest.first, [",", " ", "="].contains(escaped) {
                    rest.removeFirst()
                    out.append(escaped)
                } else {
                    out.append(next)
                }
            }
            return String(out)
        }

        mutating func value() -> String {
            guard rest.first == "\"" else { return word(until: [",", " ", "\n"]) }
            rest.removeFirst()
            var out = String.UnicodeScalarView()
            while let next = rest.popFirst(), next != "\"" {
                if next == "\\", let escaped = rest.first, escaped == "\"" || escaped == "\\" {
                    rest.removeFirst()
                    out.append(escaped)
                } else {
                    out.append(next)
                }
            }
            return "\"" + String(out)
        }

        mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard rest.first == character else { return false }
            rest.removeFirst()
            return true
        }

        mutating func points() throws -> [Point] {
            var all: [Point] = []
            while !rest.isEmpty {
                var point = Point(measurement: word(until: [",", " "]))
                while take(",") {
                    let key = word(until: ["="])
                    try #require(take("="))
                    point.tags[key] = word(until: [",", " ", "\n"])
                }
                try #require(take(" "))
                repeat {
                    let key = word(until: ["="])
                    try #require(take("="))
                    point.fields[key] = value()
                } while take(",")
                try #require(take(" "))
                point.time = word(until: ["\n"])
                try #require(take("\n"))
                all.append(point)
            }
            return all
        }
    }

    /// Undoes what stands for what the protocol cannot write, as anybody reads URLs.
    private func plain(_ text: String) -> String? {
        if text == "%" { return "" }
        return text.removingPercentEncoding
    }

    @Test("any text comes back from names, tags and fields", arguments: 0..<40 as Range<UInt64>)
    func fuzz(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let nasty = Array(",= \\\"'\n\r\t\u{0}%#{}é\u{1F9EC}\u{301}a0i").map(String.init)
        func text() -> String {
            (0..<Int.random(in: 0...12, using: &random)).map { _ in nasty.randomElement(using: &random) ?? "" }.joined()
        }
        func name() -> String { text() + "n" }
        var names: Set<String> = []
        while names.count < 4 { names.insert(name()) }
        let fields = names.sorted().enumerated().map { Field($1, $0 < 2 ? .string : .json, nullable: true, "") }
        let schema = Schema(
            name: name(), key: ["chain_id"], doc: "",
            fields: [Field("chain_id", .uint64, ""), Field("block_number", .int64, "")] + fields)
        let plan = try LineTable(schema, measurement: schema.name, InfluxTableOptions(tags: [fields[0].name, fields[2].name]))
        var columns = schema.fields.map { ColumnBuilder($0.type) }
        var expected: [[String?]] = []
        for _ in 0..<50 {
            columns[0].append(UInt64.max)
            columns[1].append(Int64(3))
            let values = (0..<4).map { _ in Int.random(in: 0..<5, using: &random) == 0 ? nil : text() }
            for (at, value) in values.enumerated() { if let value { columns[2 + at].append(value) } else { columns[2 + at].appendNull() } }
            expected.append(values)
        }
        let table = Table(schema: schema, columns: columns.map { $0.finish() }, rowCount: 50)
        var buffer = LineBuffer(capacity: 16)
        let span = Span(3, parentHash: .zero, block: BlockStamp(hash: .zero, timestamp: 9))
        let encoder = LineEncoder(hasUnsigned: true, addsFloats: true)
        var row = 0
        var misfits: [LineEncoder.Misfit] = []
        while row < 50 {
            row = try encoder.encode(
                table, from: row, plan, span, into: &buffer, maxLines: .max, maxBytes: buffer.count + 300, misfits: &misfits)
        }
        #expect(misfits.isEmpty)
        var reader = Reader(String(decoding: buffer.bytes(0..<50), as: UTF8.self))
        let points = try reader.points()
        #expect(points.count == 50)
        for (point, values) in zip(points, expected) {
            #expect(plain(point.measurement) == schema.name)
            #expect(point.tags["chain_id"] == "\(UInt64.max)" && point.fields["block_number"] == "3i")
            #expect(point.time == "9003000000")
            for (at, value) in values.enumerated() {
                let isTag = at % 2 == 0
                let key = (isTag ? point.tags : point.fields).keys.first { plain($0) == fields[at].name }
                let found = key.flatMap { isTag ? point.tags[$0].flatMap(plain) : point.fields[$0].map { String($0.dropFirst()) } }
                #expect(found == value)
            }
        }
    }

    @Test("numbers, one by one and at random")
    func numbers() {
        func text(_ body: (inout LineText.Target) -> Void) -> String {
            String(unsafeUninitializedCapacity: 64) { memory in
                guard let start = memory.baseAddress else { return 0 }
                var at = start
                body(&at)
                return at - start
            }
        }
        var random = SeededRandom(seed: 1)
        var values: [UInt64] = [0, 9, 10, 99, 100, 999, .max, .max - 1, UInt64(Int64.max), 1 << 63]
        var power: UInt64 = 1
        while power < .max / 10 {
            values += [power - 1, power, power + 1]
            power *= 10
        }
        values += (0..<2000).map { _ in random.next() >> UInt64.random(in: 0..<64, using: &random) }
        for value in values {
            #expect(text { LineText.decimal(value, LineText.tables, &$0) } == "\(value)")
            let signed = Int64(bitPattern: value)
            #expect(text { LineText.decimal(signed, LineText.tables, &$0) } == "\(signed)")
        }
    }

    @Test("lines become requests of so many lines and bytes at most, none left out")
    func requests() throws {
        var random = SeededRandom(seed: 5)
        for _ in 0..<200 {
            var buffer = LineBuffer()
            let lengths = (0..<Int.random(in: 1...40, using: &random)).map { _ in Int.random(in: 1...60, using: &random) }
            for length in lengths {
                let start = buffer.reserve(length)
                start.initialize(repeating: 0x61, count: length)
                buffer.commit(start + length)
            }
            let (lines, bytes) = (Int.random(in: 1...9, using: &random), Int.random(in: 1...200, using: &random))
            let requests = buffer.requests(maxLines: lines, maxBytes: bytes)
            #expect(requests.flatMap { Array($0) } == Array(lengths.indices))
            #expect(requests.allSatisfy { $0.count <= lines && ($0.count == 1 || buffer.bytes($0).count <= bytes) })
            #expect(requests.flatMap { Array(buffer.bytes($0)) }.count == lengths.reduce(0, +))
        }
    }

    @Test("bytes of any length are two digits each, and nothing behind them is touched", arguments: 0..<70 as Range<Int>)
    func hex(_ count: Int) {
        var random = SeededRandom(seed: UInt64(count))
        let bytes = (0..<count + 1).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        var out = [UInt8](repeating: 0x2E, count: count * 2 + 3)
        out.withUnsafeMutableBufferPointer { memory in
            guard var at = memory.baseAddress else { return }
            bytes.withUnsafeBufferPointer { if let start = $0.baseAddress { LineText.hex(start, count, LineText.tables, &at) } }
            #expect(at - (memory.baseAddress ?? at) == count * 2 + 2)
        }
        let expected = bytes.prefix(count).map { String(format: "%02x", $0) }.joined()
        #expect(String(decoding: out, as: UTF8.self) == "0x\(expected).")
    }

    @Test("what is a tag and what makes the time unique follows from the key")
    func plans() throws {
        let fields = [
            Field("chain_id", .int64, ""), Field("block_number", .int64, ""), Field("block_hash", .fixedBytes(32), ""),
            Field("log_index", .int64, ""),
            Field("batch_index", .int64, ""), Field("address", .fixedBytes(20), ""), Field("kind", .string, ""),
            Field("value", .uint256, ""),
        ]
        func plan(_ key: [String], _ options: InfluxTableOptions? = nil) throws -> (tags: [String], place: String?, fields: Int) {
            let plan = try LineTable(Schema(name: "t", key: key, doc: "", fields: fields), measurement: "t", options)
            return (plan.tags.map(\.field.name), plan.placeField, plan.fields.count)
        }
        #expect(try plan(["chain_id", "block_hash"]) == (["chain_id"], nil, 7))
        #expect(try plan(["chain_id", "block_hash", "log_index"]) == (["chain_id"], "log_index", 7))
        #expect(try plan(["chain_id", "block_hash", "log_index", "batch_index"]) == (["batch_index", "chain_id"], "log_index", 6))
        #expect(try plan(["chain_id", "block_hash", "kind", "address"]) == (["address", "chain_id", "kind"], nil, 5))
        #expect(try plan(["chain_id"], InfluxTableOptions(tags: ["kind"], fields: ["value"])) == (["chain_id", "kind"], nil, 2))
    }

    @Test("places beyond a million share a block only while their points differ")
    func places() throws {
        let schema = Schema(
            name: "t", key: ["chain_id", "index"], doc: "",
            fields: [Field("chain_id", .int64, ""), Field("block_number", .int64, ""), Field("index", .int64, "")])
        let plan = try LineTable(schema, measurement: "t", nil)
        func encode(_ places: [Int64]) throws -> (times: [String], misfits: [LineEncoder.Misfit]) {
            var misfits: [LineEncoder.Misfit] = []
            var columns = schema.fields.map { ColumnBuilder($0.type) }
            for place in places {
                columns[0].append(Int64(1))
                columns[1].append(Int64(1001))
                columns[2].append(place)
            }
            var buffer = LineBuffer()
            _ = try LineEncoder(hasUnsigned: false, addsFloats: false).encode(
                Table(schema: schema, columns: columns.map { $0.finish() }, rowCount: places.count), from: 0, plan,
                Span(1001, parentHash: .zero, block: BlockStamp(hash: .zero, timestamp: 2)), into: &buffer, maxLines: .max, maxBytes: .max,
                misfits: &misfits)
            var reader = Reader(String(decoding: buffer.bytes(0..<buffer.lines), as: UTF8.self))
            return (try reader.points().map(\.time), misfits)
        }
        let apart = try encode([99_999_999, 100_000_000, 100_000_001])
        #expect(apart.times == ["2001999999", "2001000000", "2001000001"] && apart.misfits.isEmpty)
        let together = try encode([100_000_001, 101_000_001, 100_000_002])
        #expect(together.times == ["2001000001", "2001000002"] && together.misfits.map(\.row) == [1])
        #expect(together.misfits[0].reason.contains("it would be one point with row 100000001"))
    }
}
