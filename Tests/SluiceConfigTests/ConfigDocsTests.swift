import SluiceConfig
import Testing

@Suite struct ConfigDocsTests {
    private let spec = SluiceConfiguration.spec(Fixtures.catalog)

    @Test("every default is a value of its own type")
    func defaults() {
        #expect(spec.faults() == [])
        let wrong = ObjectSpec("x", [FieldSpec("a", .object(ObjectSpec("y", [FieldSpec("b", .int(1...2), "b", default: "3")])), "a")])
        #expect(wrong.faults() == ["a.b: the default \"3\" is not a whole number from 1 to 2"])
    }

    @Test("the generated sample is a configuration that loads")
    func sample() throws {
        let loaded = try Fixtures.load(ConfigDocs.sample(spec))
        #expect(loaded.networks.map(\.name) == ["ethereum"])
        #expect(loaded.sinks.map(\.name) == ["warehouse", "parquet"])
        #expect(loaded.pipelines.first?.registers == ["blocks"])
    }

    @Test("every key of the commented sample is one that loads when it is uncommented")
    func uncommented() throws {
        let lines = ConfigDocs.sample(spec).split(separator: "\n", omittingEmptySubsequences: false).map { line -> String in
            let body = line.drop { $0 == " " }
            guard body.hasPrefix("# "), let colon = body.firstIndex(of: ":"),
                body[body.index(body.startIndex, offsetBy: 2)..<colon].allSatisfy({ $0.isLowercase || $0 == "_" || $0.isNumber }),
                body.index(after: colon) < body.endIndex, !body.hasSuffix(":"), !body.hasSuffix(": "), !body.hasSuffix(".")
            else { return String(line) }
            return String(line.prefix(line.count - body.count) + body.dropFirst(2))
        }
        // `register` and `registers` exclude each other, so one of them stays out.
        let text = lines.filter { !$0.hasPrefix("    registers:") }.joined(separator: "\n")
        #expect(lines.contains("    registers: [blocks, logs]"))
        #expect(text.contains("\n    retry_budget: 2m"))
        #expect(text.contains("\nstate: data/sluice.state"))
        _ = try Fixtures.load(text)
    }

    @Test("the reference names every key, and secrets as such")
    func reference() {
        let text = ConfigDocs.reference(spec, title: "Configuration")
        for key in ["state", "endpoints", "poll_interval", "memory_budget", "requests_per_second", "blocks_per_file", "registers"] {
            #expect(text.contains("| `\(key)` |"), "\(key)")
        }
        #expect(text.contains("## `sinks.<name>`, `type: parquet`"))
        #expect(text.contains("Key of the file. Secret."))
        #expect(text.contains("| `path` | path | required | The file. |"))
    }

    @Test("the JSON Schema is a JSON object that forbids unknown keys")
    func schema() {
        let text = ConfigDocs.jsonSchema(spec, title: "Sluice")
        #expect(text.hasPrefix("{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\""))
        #expect(text.contains("\"additionalProperties\": false"))
        #expect(text.contains("\"const\": \"duckdb\""))
        #expect(text.contains("\"writeOnly\": true"))
        #expect(text.contains("\"pattern\": \"^[a-z][a-z0-9_-]*$\""))
        var depth = 0
        var inString = false
        var escaped = false
        for byte in text.utf8 {
            if escaped {
                escaped = false
            } else if byte == UInt8(ascii: "\\") {
                escaped = true
            } else if byte == UInt8(ascii: "\"") {
                inString.toggle()
            } else if !inString {
                if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") { depth += 1 }
                if byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]") { depth -= 1 }
            }
            #expect(depth >= 0)
        }
        #expect(depth == 0 && !inString)
    }
}
