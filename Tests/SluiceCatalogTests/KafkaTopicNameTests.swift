import SluiceCatalog
import SluiceConfig
import SluiceCore
import Testing

@testable import KafkaConnector

/// The 18 topics that Avalanche's loaders wrote to.
@Suite struct KafkaTopicNameTests {
    private static let all: Set<String> = [
        "avalanche.chains", "avalanche.blocks.43114", "avalanche.transactions.43114", "avalanche.logs.43114", "avalanche.erc20.43114",
        "avalanche.erc721.43114", "avalanche.erc1155.43114", "avalanche.internal-tx.43114", "avax.metrics", "avax.metrics.activity",
        "avax.metrics.performance", "avax.metrics.gas", "avax.metrics.cumulative", "avalanche.subnets", "avalanche.blockchains",
        "avalanche.validators", "avalanche.delegators", "avalanche.bridges",
    ]
    private static let stream = StreamID(pipeline: "avalanche", chainID: 43_114)

    /// The tables of a stream, and their topics.
    private static func topics(_ tables: [Schema], _ adjust: (inout KafkaSinkOptions) -> Void = { _ in }) async throws -> [String: String] {
        var options = KafkaSinkOptions(brokers: "127.0.0.1:1")
        adjust(&options)
        let opened = try KafkaStream(stream, tables: tables, sink: "kafka", options: options)
        return Dictionary(await opened.lanes.map { ($0.schema.name, $0.topic) }, uniquingKeysWith: { first, _ in first })
    }

    @Test("without a word in the configuration, tables of which there are registers have their old topics, and no others of them")
    func template() async throws {
        let wanted = [
            "blocks": "avalanche.blocks.43114", "transactions": "avalanche.transactions.43114", "logs": "avalanche.logs.43114",
            "erc20_transfers": "avalanche.erc20.43114", "erc721_transfers": "avalanche.erc721.43114",
            "erc1155_transfers": "avalanche.erc1155.43114",
        ]
        var schemas: [String: Schema] = [:]
        for schema in Catalog.registers.flatMap(\.schemas) where schema.blockNumberField != nil { schemas[schema.name] = schema }
        let made = try await Self.topics(schemas.values.sorted { $0.name < $1.name })
        for (table, topic) in wanted { #expect(made[table] == topic) }
        #expect(Set(made.values).intersection(Self.all) == Set(wanted.values))
    }

    @Test("by a line of configuration each, tables can have any of the 18")
    func mapped() async throws {
        let names = Self.all.sorted()
        let tables = names.indices.map { index in
            Schema(name: "table_\(index)", key: ["block_number"], doc: "", fields: [Field("block_number", .int64, "")])
        }
        let lines = names.enumerated().map { index, name in "table_\(index): \"\(name.replacing("43114", with: "{chain_id}"))\"" }
        let text = """
            networks: { avalanche-c: { endpoints: ["http://127.0.0.1:1"] } }
            sinks:
              kafka: { type: kafka, brokers: "127.0.0.1:1", topics: { \(lines.joined(separator: ", ")) } }
            pipelines:
              main: { network: avalanche-c, register: logs, sinks: [kafka] }
            """
        let configuration = try SluiceConfiguration.load(
            text: text, file: "f", catalog: Catalog.configuration, environment: .fixed([:], files: [:]))
        let sink = try #require(configuration.sink("kafka"))
        let made = try await Self.topics(tables) { $0 = KafkaSinkOptions(sink.options) }
        #expect(Set(made.values) == Self.all)
    }
}
