import SluiceConfig
import SluiceCore
import Testing

@Suite struct ConfigPropertyTests {
    @Test("a value from the environment never changes the structure")
    func environmentIsData() throws {
        let pieces = [
            ":", " ", "#", "{", "}", "[", "]", "\n", "\"", "'", "\\", "- ", "&a", "*a", "!!x", "|", ">", "%", "@", "`", ",", "?", "\t",
            "---\n", "...", "x", "${A}", "$$", "é", "\u{0}", "\u{2028}", "path: b", "\r\n",
        ]
        var random = SeededRandom(seed: 11)
        for _ in 0..<2000 {
            var value = ""
            for _ in 0..<(1 + Int.random(in: 0..<12, using: &random)) { value += pieces.randomElement(using: &random) ?? "" }
            let header = "sinks: { warehouse: { type: duckdb, path: a, password: \"a${V}b\" } }"
            let text = """
                networks: { ethereum: { endpoints: [http://a.example] } }
                \(header)
                pipelines: { p: { network: ethereum, register: blocks, sinks: [warehouse] } }
                """
            let loaded = try Fixtures.load(text, .fixed(["V": value]))
            #expect(loaded.sinks.count == 1 && loaded.pipelines.count == 1 && loaded.networks.count == 1)
            #expect(loaded.sinks[0].options.string("path") == "a")
            #expect(loaded.sinks[0].options.secret("password").reveal() == "a" + value + "b")
        }
    }

    @Test("small mutations of a good configuration give a configuration or problems that can be printed, never a crash")
    func mutations() {
        let good = Array(Fixtures.good.utf8)
        let alphabet = Array(":{}[]#&*!|>%@`\"'\\,?-$~ \n\t\r0a_<.\u{7}".utf8) + [0, 0x80, 0xC3, 0xFF, 0xE2]
        var random = SeededRandom(seed: 4242)
        var loaded = 0
        for _ in 0..<20_000 {
            var bytes = good
            for _ in 0..<(1 + Int.random(in: 0..<3, using: &random)) {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                let other = alphabet.randomElement(using: &random) ?? 0
                switch Int.random(in: 0..<5, using: &random) {
                case 0: bytes[at] = other
                case 1: bytes.insert(other, at: at)
                case 2: bytes.remove(at: at)
                case 3: bytes.removeSubrange(at..<min(bytes.count, at + Int.random(in: 1..<40, using: &random)))
                default: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + Int.random(in: 1..<40, using: &random))], at: at)
                }
                if bytes.isEmpty { bytes = [UInt8(ascii: "a")] }
            }
            do throws(ConfigError) {
                _ = try Fixtures.load(String(decoding: bytes, as: UTF8.self))
                loaded += 1
            } catch {
                if error.problems.isEmpty || error.description.isEmpty { Issue.record("an error without a problem: \(bytes)") }
                if error.problems.contains(where: { $0.mark.line < 1 || $0.mark.column < 1 }) { Issue.record("no place: \(error)") }
            }
        }
        // Both sides must be reached, or the mutations are too wild or too tame to mean anything.
        #expect((500...19_500).contains(loaded), "\(loaded) of 20000 loaded")
    }
}
