import SluiceCatalog
import SluiceConfig
import SluiceCore
import Testing

@Suite("event_log in a configuration") struct EventLogConfigTests {
    private static let a = "0x00000000000000000000000000000000000000aa"
    private static let b = "0x00000000000000000000000000000000000000bb"
    private static let transfer = "event Transfer(address indexed from, address indexed to, uint256 value)"
    private static let created = "event PairCreated(address indexed token0, address indexed token1, address pair, uint256)"
    private static let abi = """
        [{"type":"event","name":"Swap","inputs":[{"name":"to","type":"address","indexed":true}]},
         {"type":"event","name":"Sync","inputs":[{"name":"reserve","type":"uint112"}]}, {"type":"function","name":"f","inputs":[]}]
        """

    private static func load(_ events: String, registers: String = "event_log") throws(ConfigError) -> SluiceConfiguration {
        let text = """
            networks: { simulated: { endpoints: ["http://127.0.0.1:1"] } }
            sinks: { w: { type: duckdb, path: w.duckdb } }
            pipelines:
              p:
                network: simulated
                registers: [\(registers)]
                sinks: [w]
            \(events)
            """
        let files = ["abi.json": abi, "none.json": "[]", "broken.json": "["]
        return try SluiceConfiguration.load(
            text: text, file: "f", catalog: Catalog.configuration,
            environment: .fixed(["ADDRESS": a, "BAD": "0xsecret", "EVENT": "event Bad(secret)"], files: files))
    }

    /// Each as `line:column: path: message; suggestion`.
    private static func problems(_ events: String, registers: String = "event_log") -> [String] {
        do throws(ConfigError) {
            _ = try load(events, registers: registers)
            return []
        } catch { return error.problems.map { String($0.summary.dropFirst(2)) } }
    }

    @Test("what a pipeline says becomes its register: needs, and a line for each event")
    func good() throws {
        let configuration = try Self.load(
            """
                events:
                  - { address: "${ADDRESS}", events: ["\(Self.transfer)"] }
                  - { addresses: ["\(Self.b)", "\(Self.a)"], abi: abi.json, names: [Sync] }
                  - { factory: { address: \(Self.b), event: "\(Self.created)", argument: pair }, abi: abi.json }
            """, registers: "event_log, blocks")
        let pipeline = try #require(configuration.pipelines.first)
        #expect(
            pipeline.configured.flatMap(\.summary) == [
                "Transfer(address,address,uint256) of \(Self.a)", "Sync(uint112) of \(Self.a), \(Self.b)",
                "Swap(address) of what \(Self.b) makes (PairCreated(address,address,address,uint256), pair)",
                "Sync(uint112) of what \(Self.b) makes (PairCreated(address,address,address,uint256), pair)",
            ])
        let registers = Catalog.registers(of: pipeline)
        #expect(registers.map(\.name) == ["event_log", "blocks"])
        #expect(registers[0].keepsFindings && registers[0].needs.map(\.addresses.count) == [0, 1, 1])
        // The factory's pairs are not known beforehand.
        #expect(Catalog.fetch(registers).calls.last?.addresses == [])
        let narrow = try Self.load("    events: [{ addresses: [\(Self.b), \(Self.a)], events: [\"\(Self.transfer)\"] }]")
        let call = Catalog.fetch(Catalog.registers(of: narrow.pipelines[0])).calls.last
        #expect(call?.method == "eth_getLogs" && call?.addresses == [Self.a, Self.b] && call?.topics.count == 1)
        #expect(!Catalog.registers(of: narrow.pipelines[0])[0].keepsFindings)
    }

    @Test(
        "what is wrong is said with its place, and what would be right",
        arguments: [
            ("{ address: 0x12, events: [\"E()\"] }", "9:18: pipelines.p.events[0].address: no address: 2 digits instead of 40; write 0x"),
            ("{ addresses: [\(a), nonsense], events: [\"E()\"] }", "9:65: pipelines.p.events[0].addresses[1]: no address; write 0x"),
            (
                "{ address: \(a), events: [\"event E(uint7 x)\"] }",
                "9:71: pipelines.p.events[0].events[0]: reading the event \"event E(uint7 x)\": column 9: 'uint7' is not a type; widths"
            ),
            ("{ address: \(a), abi: gone.json }", "9:67: pipelines.p.events[0].abi: cannot read the ABI: no such file; paths are"),
            ("{ address: \(a), abi: broken.json }", "9:67: pipelines.p.events[0].abi: cannot use the ABI: "),
            ("{ address: \(a), abi: none.json }", "9:67: pipelines.p.events[0].abi: the ABI has no events; write"),
            (
                "{ address: \(a), abi: abi.json, names: [Swop] }",
                "9:85: pipelines.p.events[0].names[0]: the ABI has no such event; did you mean \"Swap\"?"
            ),
            ("{ address: \(a), events: [\"E()\"], names: [E] }", "9:86: pipelines.p.events[0].names: there is no \"abi\" of which"),
            ("{ address: \(a) }", "9:7: pipelines.p.events[0]: it is not said which events; add events or abi"),
            ("{ events: [\"E()\"] }", "9:7: pipelines.p.events[0]: it is not said of which contracts; add address"),
            (
                "{ address: \(a), addresses: [\(a)], events: [\"E()\"] }",
                "9:73: pipelines.p.events[0].addresses: there is \"address\" already; give each"
            ),
            (
                "{ factory: { address: \(a), event: \"\(created)\", argument: pear }, events: [\"E()\"] }",
                "9:182: pipelines.p.events[0].factory.argument: the factory \(a): PairCreated(address,address,address,uint256) has 0 arguments"
            ),
            (
                "{ factory: { address: \(a), event: \"event Made(uint256 id)\", argument: id }, events: [\"E()\"] }",
                "9:116: pipelines.p.events[0].factory.argument: the factory \(a): Made(uint256) has 'id' of type uint256; name an argument"
            ),
            (
                "{ factory: { address: \(a), event: \"Made(address)\", argument: x }, events: [\"E()\"] }",
                "9:80: pipelines.p.events[0].factory.event: the factory \(a): Made(address) does not tell which arguments are indexed"
            ),
            ("{ address: \"${BAD}\", events: [\"E()\"] }", "9:18: pipelines.p.events[0].address: the value of \"${BAD}\" cannot be used"),
            (
                "{ address: \(a), events: [\"${EVENT}\"] }",
                "9:71: pipelines.p.events[0].events[0]: the value of \"${EVENT}\" cannot be used here; write it out"
            ),
            ("{ adress: \(a), events: [\"E()\"] }", "9:9: pipelines.p.events[0].adress: unknown key; did you mean \"address\"?"),
        ])
    func wrong(_ entry: String, _ expected: String) {
        let found = Self.problems("    events:\n    - \(entry)")
        #expect(found.contains { $0.hasPrefix(expected) }, "\(found)")
        #expect(!found.contains { $0.contains("secret") })
    }

    @Test("events without the register, and the register without events, are mistakes")
    func apart() {
        #expect(
            Self.problems("    events: [{ address: \(Self.a), events: [\"E()\"] }]", registers: "blocks") == [
                "8:5: pipelines.p.events: \"events\" is for the register \"event_log\", which is not asked for; add event_log to registers, or take events out"
            ])
        let found = Self.problems("")
        #expect(
            found.count == 1
                && found[0].hasPrefix(
                    "6:17: pipelines.p: the register \"event_log\" needs \"events\", which says what it is to look at; for example"),
            "\(found)")
    }
}
