import SluiceCatalog
import SluiceConfig
import SluiceCore
import Testing

@Suite("topics as networks in a configuration") struct KafkaNetworkConfigTests {
    private static func text(_ network: String, _ pipelines: String) -> String {
        """
        networks: { simulated: { endpoints: ["http://127.0.0.1:1"] }, orders: { \(network) } }
        sinks: { w: { type: duckdb, path: w.duckdb }, v: { type: duckdb, path: v.duckdb } }
        pipelines: { \(pipelines) }
        """
    }

    private static let topic = "type: kafka, brokers: \"h:9092\", topic: t"

    private static func load(_ text: String) throws(ConfigError) -> SluiceConfiguration {
        try SluiceConfiguration.load(text: text, file: "f", catalog: Catalog.configuration, environment: .fixed([:]))
    }

    private static func problems(_ network: String, _ pipelines: String) -> [String] {
        do throws(ConfigError) {
            _ = try load(text(network, pipelines))
            return []
        } catch { return error.problems.map { String($0.summary.dropFirst(2)) } }
    }

    @Test("a network without a type is a chain; one of type kafka has a chain id that stays")
    func good() throws {
        let loaded = try Self.load(Self.text(Self.topic, "p: { network: orders, register: kafka_records, sinks: [w] }"))
        let (chain, topic) = (try #require(loaded.network("simulated")), try #require(loaded.network("orders")))
        #expect(chain.service == nil && chain.chainID == 1337)
        #expect(topic.service?.type == "kafka" && topic.chainID == MadeChain.id(["orders"]) && topic.kind == .service)
        #expect(topic.service?.options.string("group") == "sluice.{pipeline}" && topic.service?.options.string("start") == "earliest")
        #expect(Catalog.service(topic)?.facts(try #require(topic.service).options).first == "topic t at h:9092, as group sluice.{pipeline}")
        #expect(Catalog.fetch(Catalog.registers, on: topic).calls.isEmpty)
        // The usual type may be said.
        let said = try Self.load(
            Self.text(Self.topic, "p: { network: orders, register: kafka_records, sinks: [w] }")
                .replacing("simulated: { endpoints", with: "simulated: { type: ethereum, endpoints"))
        #expect(said.network("simulated")?.chainID == 1337)
    }

    @Test(
        "what does not fit together is said with its place, and what would be right",
        arguments: [
            (
                topic, "p: { network: orders, register: blocks, sinks: [w] }",
                [
                    "3:46: pipelines.p: the register \"blocks\" is read from a network of type ethereum, and \"orders\" is of type kafka; ask for another register, or name another network"
                ]
            ),
            (
                topic, "p: { network: simulated, registers: [blocks, kafka_records], sinks: [w] }",
                [
                    "3:59: pipelines.p: the register \"kafka_records\" is read from a network of type kafka, and \"simulated\" is of type ethereum; ask for another register, or name another network"
                ]
            ),
            (
                topic, "p: { network: orders, register: kafka_records, start: 5, sinks: [w] }",
                [
                    "3:61: pipelines.p.start: the parts of \"orders\" have no start in common; say start: earliest or latest at networks.orders"
                ]
            ),
            (
                topic, "p: { network: orders, register: kafka_records, sinks: [{ sink: w, when_full: drop_newest }] }",
                [
                    "3:91: pipelines.p.sinks[0].when_full: what is left out of \"orders\" could not be read again; say block or spill"
                ]
            ),
            (
                topic + ", group: g",
                "p: { network: orders, register: kafka_records, sinks: [w] }, q: { network: orders, register: kafka_records, sinks: [v] }",
                [
                    "3:89: pipelines.q.network: the pipeline \"p\" reads it as the group \"g\" already: each would get a part of it; put {pipeline} into networks.orders.group"
                ]
            ),
            (
                "type: kafka, topic: t", "p: { network: orders, register: kafka_records, sinks: [w] }",
                ["1:71: networks.orders: missing \"brokers\", which is required; for example brokers: \"${KAFKA_BOOTSTRAP_SERVERS}\""]
            ),
            (
                topic + ", start: 7", "p: { network: orders, register: kafka_records, sinks: [w] }",
                ["1:122: networks.orders.start: expected one of earliest, latest, found \"7\""]
            ),
        ])
    func wrong(_ network: String, _ pipelines: String, _ expected: [String]) {
        #expect(Self.problems(network, pipelines) == expected)
    }

    @Test("two pipelines of one topic have a group each")
    func groups() throws {
        _ = try Self.load(
            Self.text(
                Self.topic,
                "p: { network: orders, register: kafka_records, sinks: [w] }, q: { network: orders, register: kafka_records, sinks: [v] }"))
    }

    @Test("a password is never shown")
    func secret() throws {
        let loaded = try Self.load(
            Self.text(
                Self.topic + ", security: sasl_ssl, user: u, password: hush, properties: { a.b: hush }",
                "p: { network: orders, register: kafka_records, sinks: [w] }"))
        #expect(!"\(loaded)".contains("hush") && !String(reflecting: loaded).contains("hush"))
    }
}
