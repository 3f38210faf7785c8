import SluiceConfig
import SluiceCore
import SluiceTestKit
import Testing

@testable import KafkaConnector

/// Every logical type goes into a topic and comes back without losing a bit: read by kcat, decoded by Python.
@Suite(.kafka, .enabled(if: TestServices.hasKafkaReader, "kcat is not installed")) struct KafkaTypeTests {
    private static let schema = Schema(
        name: "all_types", key: ["chain_id", "row_number"], doc: "",
        fields: [
            Field("chain_id", .int64, ""), Field("block_number", .int64, ""), Field("row_number", .int64, ""),
            Field("a_bool", .bool, nullable: true, ""), Field("a_int", .int64, nullable: true, ""),
            Field("a_uint", .uint64, nullable: true, ""), Field("a_float", .float64, nullable: true, ""),
            Field("a_decimal", .decimal, nullable: true, ""), Field("a_wide", .uint256, nullable: true, ""),
            Field("a_time", .timestamp, nullable: true, ""), Field("a_text", .string, nullable: true, "with \"quotes\""),
            Field("a_blob", .bytes, nullable: true, ""), Field("a_hash", .fixedBytes(32), nullable: true, ""),
            Field("another_hash", .fixedBytes(32), ""), Field("an_address", .fixedBytes(20), ""),
            Field("a_json", .json, nullable: true, ""),
        ])

    private static let texts = [
        "", " ", "plain", "a\tb\nc\rd\\e\"f'g", "ünïcödé \u{1F9EC}\u{301}", "\u{FEFF}\u{202E}", "\u{0}\u{1}\u{7F}\u{2028}", "\\N", "null",
        "NaN",
        String(repeating: "long ", count: 20_000),
    ]
    /// As they are stored, and as Python has them.
    private static let jsons = [
        ("[1, 2.50]", "[1, 2.5]"), ("{}", "{}"), ("{\"b\": 1, \"a\": [null]}", "{\"b\": 1, \"a\": [null]}"), ("  [ ]  ", "[]"),
        (
            "{\"u\": \"\\u00e9\\ud83e\\uddec\\n\", \"n\": [-1, 1e-07, true]}",
            "{\"u\": \"\\u00e9\\ud83e\\uddec\\n\", \"n\": [-1, 1e-07, true]}"
        ),
        ("12345678901234567890123", "12345678901234567890123"), ("\"\"", ""),
    ]

    /// Mostly what must be escaped, or is longer than a byte.
    private static func text(_ random: inout SeededRandom) -> String {
        let scalars = (0..<Int.random(in: 0..<40, using: &random)).compactMap { _ -> Unicode.Scalar? in
            switch random.next() % 4 {
            case 0: Unicode.Scalar(UInt32(random.next() % 0x80))
            case 1: Unicode.Scalar(UInt32(random.next() % 0x1_0000))
            case 2: Unicode.Scalar(UInt32(random.next() % 0x11_0000))
            default: ["\"", "\\", "\u{0}", "\u{1F}", "/"][Int(random.next() % 5)]
            }
        }
        return String(String.UnicodeScalarView(scalars))
    }

    private static let ten38 = (0..<38).reduce(Int128(1)) { product, _ in product * 10 }

    /// The rows, and what is to be read of each.
    private static func rows(_ seed: UInt64, format: KafkaSinkOptions.Format) -> (table: Table, expected: [[String: String?]]) {
        var random = SeededRandom(seed: seed)
        var columns = schema.fields.map { ColumnBuilder($0.type) }
        var expected: [[String: String?]] = []
        for row in 0..<300 {
            var wanted: [String: String?] = [:]
            func pick<T>(_ edges: [T], _ other: T) -> T { row < edges.count ? edges[row] : other }
            func put(_ index: Int, _ text: String, _ append: (inout ColumnBuilder) -> Void) {
                let field = schema.fields[index]
                if field.nullable, row > 12, Int.random(in: 0..<5, using: &random) == 0 {
                    columns[index].appendNull()
                    wanted.updateValue(nil, forKey: field.name)
                } else {
                    append(&columns[index])
                    wanted[field.name] = text
                }
            }
            func number<T: BitwiseCopyable>(_ index: Int, _ value: T, _ text: String) { put(index, text) { $0.append(value) } }
            func bytes(_ index: Int, _ count: Int) {
                let bytes = (0..<count).map { _ in pick([0, 255], UInt8.random(in: 0 ... .max, using: &random)) }
                put(index, Hex.text(bytes)) { $0.append(bytes: bytes) }
            }
            number(0, Int64(1), "1")
            number(1, Int64(7), "7")
            number(2, Int64(row), "\(row)")
            let flag = Bool.random(using: &random)
            number(3, flag, "\(flag)")
            let int = pick([0, 1, -1, .max, .min, 63, 64, -64, -65], Int64.random(in: .min ... .max, using: &random))
            number(4, int, "\(int)")
            let uint = pick([0, 1, .max, 127, 128, 1 << 63], UInt64.random(in: 0 ... .max, using: &random))
            number(5, uint, "\(uint)")
            let float = pick(
                [0, -0.0, .infinity, -.infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude, 0.1, 1e-5, 1e22],
                Double(bitPattern: random.next() & 0xBFFF_FFFF_FFFF_FFFF))
            number(6, float, shown(float, format))
            let magnitude = Int128(random.next()) * Int128(truncatingIfNeeded: random.next() >> 3)
            let decimal = pick([0, 1, -1, ten38 - 1, 1 - ten38, 127, 128, -128, -129], random.next() % 2 == 0 ? magnitude : -magnitude)
            number(7, decimal, "\(decimal)")
            let any = UInt256(high: UInt128(random.next()) << 64 | UInt128(random.next()), low: UInt128(random.next()) << 64)
            let wide = pick(
                [
                    .zero, .max, UInt256(high: 1, low: 0), UInt256(low: .max), UInt256(128), UInt256(high: 1 << 127, low: 0),
                    UInt256(high: (1 << 127) - 1, low: .max), UInt256(high: .max, low: 0), UInt256(10_000_000_000_000_000_000),
                ], row % 2 == 0 ? any : UInt256(low: any.low >> 70))
            number(8, wide, wide.description)
            let time = pick(
                [
                    0, -1, 1, .max, .min, 946_684_800_000_000, -62_135_596_800_000_000, 253_402_300_799_999_999, -210_866_803_200_000_001,
                    951_782_400_000_000, -1_000_000,
                ], Int64.random(in: .min ... .max, using: &random))
            number(9, time, "\(time)")
            let text = row < 2 * texts.count ? texts[row % texts.count] : text(&random)
            put(10, text) { $0.append(text) }
            bytes(11, [0, 1, 31, 300][row % 4])
            bytes(12, 32)
            bytes(13, 32)
            bytes(14, 20)
            let json = jsons[row % jsons.count]
            put(15, format == .json ? json.1 : json.0) { $0.append(json.0) }
            expected.append(wanted)
        }
        return (Table(schema: schema, columns: columns.map { $0.finish() }, rowCount: expected.count), expected)
    }

    /// Bit by bit; what JSON has no number for is text.
    private static func shown(_ number: Double, _ format: KafkaSinkOptions.Format) -> String {
        if format == .json, !number.isFinite { return number.isNaN ? "NaN" : number < 0 ? "-Infinity" : "Infinity" }
        let digits = String(number.bitPattern, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    private static func check(_ cluster: Cluster, _ seed: UInt64, _ format: KafkaSinkOptions.Format, registry: String? = nil) async throws {
        let sink = cluster.sink { options in
            options.format = format
            options.registry = registry.map { Secret($0) }
        }
        let id = StreamID(pipeline: "p", chainID: 1)
        let stream = try await sink.open(id, tables: [schema])
        let (table, expected) = rows(seed, format: format)
        let span = Span(first: 7, parentHash: .zero, blocks: [BlockStamp(hash: SmallChain.hash(7), timestamp: 1)])
        _ = try await stream.write(Batch(chainID: 1, span: span, tables: [table]))
        #expect(try await stream.flush() == span.last)
        let found = try await cluster.rows("all_types", registry: registry)
        #expect(found.faults == [] && found.rows.count == expected.count)
        for (row, (found, wanted)) in zip(found.sorted(by: "row_number"), expected).enumerated() {
            for (name, text) in wanted { #expect(found.value[name] == text, "row \(row), \(name)") }
            #expect(found.value.count == wanted.count)
        }
        // Taken back they are the same rows.
        try await stream.rollback(to: Position(number: 6, hash: .zero))
        #expect(try await cluster.rows("all_types", registry: registry).rows.isEmpty)
        await sink.close()
    }

    @Test("as JSON: edges and any other values, nulls and hostile texts", arguments: 1...4 as ClosedRange<UInt64>)
    func json(_ seed: UInt64) async throws { try await Self.check(Cluster("json"), seed, .json) }

    @Test("as Avro, by the schema that the registry has", arguments: 1...4 as ClosedRange<UInt64>)
    func avro(_ seed: UInt64) async throws {
        try await Script.serving("registry") { registry in try await Self.check(Cluster("avro"), seed, .avro, registry: registry) }
    }

    @Test("a registry that refuses, or is none, is said, and its password is not")
    func registry() async throws {
        try await Script.serving("registry") { registry in
            let cluster = try Cluster("registry")
            let id = StreamID(pipeline: "p", chainID: 1)
            let host = registry.dropFirst("http://".count)
            func open(_ url: String, _ tables: [Schema]) async throws {
                _ = try await cluster.sink { options in
                    options.format = .avro
                    options.registry = Secret(url)
                    options.registryShown = "http://127.0.0.1:1/***"
                }.open(id, tables: tables)
            }
            try await open("http://user:secret@\(host)/users/", SmallChain.schemas)
            let other = Schema(
                name: "logs", key: SmallChain.logs.key, doc: "",
                fields: SmallChain.logs.fields.map { $0.name == "log_index" ? Field("log_index", .string, "") : $0 })
            let cases: [(String, [Schema], SluiceError.Class, String)] = [
                ("http://user:hunter2@\(host)/users", SmallChain.schemas, .config, "who are you"),
                (registry, [SmallChain.blocks, other], .pause, "incompatible with an earlier schema"),
                ("http://127.0.0.1:1", SmallChain.schemas, .retry, "127.0.0.1:1"),
            ]
            for (url, tables, kind, said) in cases {
                await #expect { try await open(url, tables) } throws: { error in
                    (error as? SluiceError)?.class == kind && "\(error)".contains(said) && !"\(error)".contains("hunter2")
                }
            }
        }
    }
}
