import ClickHouseConnector
import DuckDBConnector
import EthereumConnector
import FilesConnector
import InfluxDBConnector
import KafkaConnector
import ParquetConnector
import PostgresConnector
import RedisConnector
public import SluiceConfig
public import SluiceCore
public import SluiceFlow
import SluiceFormats

/// Everything that can be named in a configuration. The only module that knows every connector: one line each.
public enum Catalog {
    /// All registers, by which graph, docs and `sluice registers` are made.
    public static let registers: [Register] = EthereumRegisters.all + KafkaRegisters.all

    /// The same, known to fit together. Throws when they do not: a test holds that they do.
    public static func registry() throws(SluiceError) -> Registry { try Registry(registers) }

    /// All kinds of sinks.
    public static let sinks: [SinkConnector] = [
        SinkConnector("duckdb", DuckDBSinkOptions.spec, delivery: .exactlyOnce) { _, options, _ in DuckDBSink(DuckDBSinkOptions(options)) },
        SinkConnector("parquet", ParquetSinkOptions.spec, delivery: .effectivelyOnce, holdsBack: true) { name, options, store in
            ParquetSink(ParquetSinkOptions(options), segments: StoredSegments(store: store, sink: name))
        },
        SinkConnector(
            "postgres", PostgresSinkOptions.spec, delivery: .exactlyOnce, facts: { PostgresSinkOptions($0).facts },
            migrator: { PostgresMigrator(PostgresSinkOptions($0)) }
        ) { _, options, _ in PostgresSink(PostgresSinkOptions(options)) },
        SinkConnector("redis", RedisSinkOptions.spec, delivery: .exactlyOnce) { _, options, _ in RedisSink(RedisSinkOptions(options)) },
        SinkConnector("csv", FilesSinkOptions.spec(.csv), delivery: .exactlyOnce) { _, options, _ in
            FilesSink(FilesSinkOptions(.csv, options))
        },
        SinkConnector("jsonl", FilesSinkOptions.spec(.jsonl), delivery: .exactlyOnce) { _, options, _ in
            FilesSink(FilesSinkOptions(.jsonl, options))
        },
        SinkConnector("stdout", StdoutSinkOptions.spec, delivery: .atLeastOnce, holdsBack: true) { name, options, store in
            StdoutSink(StdoutSinkOptions(options), segments: StoredSegments(store: store, sink: name))
        },
        SinkConnector(
            "clickhouse", ClickHouseSinkOptions.spec, delivery: .effectivelyOnce, holdsBack: true,
            migrator: { ClickHouseMigrator(ClickHouseSinkOptions($0)) }
        ) { name, options, store in
            ClickHouseSink(ClickHouseSinkOptions(options), segments: StoredSegments(store: store, sink: name))
        },
        SinkConnector("influxdb", InfluxSinkOptions.spec, delivery: .effectivelyOnce, holdsBack: true) { name, options, store in
            InfluxSink(InfluxSinkOptions(options), segments: StoredSegments(store: store, sink: name))
        },
        SinkConnector("kafka", KafkaSinkOptions.spec, delivery: .exactlyOnce) { name, options, _ in
            KafkaSink(KafkaSinkOptions(options), name: name)
        },
    ]

    /// All kinds of networks that are no chains.
    public static let services: [ServiceConnector] = [
        ServiceConnector("kafka", KafkaSourceOptions.spec, facts: { KafkaSourceOptions($0).facts }) { name, options in
            KafkaSource(KafkaSourceOptions(options), network: name)
        } look: { name, options in
            let found = try await KafkaSource(KafkaSourceOptions(options), network: name).look()
            return "\(found.partitions) partitions, \(found.records) offsets"
        }
    ]

    /// The type of network that a register is read from.
    public static func source(of register: String) -> String {
        KafkaRegisters.all.contains { $0.name == register } ? "kafka" : ConfigCatalog.ethereum
    }

    /// The kind of network of a service's settings; nil for a chain.
    public static func service(_ network: NetworkSettings) -> ServiceConnector? {
        network.service.flatMap { service in services.first { $0.type == service.type } }
    }

    /// What registers must be told by the pipelines that ask for them.
    public static let options: [RegisterOptions] = [EventLogOptions.options, AccountBalanceOptions.options]

    /// The registers of a pipeline, as its configuration alone wants them.
    public static func registers(of pipeline: PipelineSettings) -> [Register] {
        pipeline.registers.compactMap { name in
            guard let own = pipeline.configured.first(where: { $0.register.name == name }) else { return register(name) }
            return own.register.tell?(pipeline.name, StateSnapshot(version: 0, entries: own.entries)).register ?? own.register
        }
    }

    /// What a pipeline reads of each of its networks: for one that combines streams, what its aggregator is made of.
    public static func read(by pipeline: PipelineSettings) -> [Register] {
        let asked = registers(of: pipeline)
        return pipeline.synchronization == nil ? asked : asked.flatMap(\.dependencies).compactMap(register)
    }

    /// The register of a name; nil when there is none.
    public static func register(_ name: String) -> Register? { registers.first { $0.name == name } }

    /// The kind of sink of a type; nil when there is none.
    public static func sink(_ type: String) -> SinkConnector? { sinks.first { $0.type == type } }

    /// A DuckDB file of its own, for whoever writes one beside the configured sinks; it is opened with the first table.
    public static func file(_ path: String) -> any Sink { DuckDBSink(DuckDBSinkOptions(path: path)) }

    /// What configurations are checked against.
    public static let configuration = ConfigCatalog(
        sinkSpecs: Dictionary(sinks.map { ($0.type, $0.spec) }, uniquingKeysWith: { first, _ in first }),
        sources: Dictionary(services.map { ($0.type, $0.spec) }, uniquingKeysWith: { first, _ in first }), registers: registers.map(\.name),
        aggregators: registers.filter { $0.kind == .aggregator }.map(\.name), options: options, sharedStates: states.map(\.options),
        tables: { name in register(name)?.schemas.map(\.name) ?? [] }, source: { source(of: $0) })
}
