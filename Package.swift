// swift-tools-version: 6.2
import PackageDescription

// Every Swift target is built the same way: Swift 6 mode, warnings are errors, imports are internal unless said.
let house: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

func module(_ name: String, path: String? = nil, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, path: path, swiftSettings: house)
}

/// A connector: one folder under `Sources/Connectors`. It sees the vocabulary and its own C module, never the runtime.
func connector(_ name: String, _ own: Target.Dependency...) -> Target {
    .target(
        name: "\(name)Connector",
        dependencies: ["SluiceCore", "SluiceConfig", "SluiceTelemetry", "SluiceFormats", "SluiceChain", "SluiceNet"] + own,
        path: "Sources/Connectors/\(name)", exclude: ["sample.yaml"], swiftSettings: house)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: "\(name)Tests", dependencies: dependencies, exclude: exclude, swiftSettings: house)
}

func shim(_ name: String, links: [String] = [], cxx: Bool = false) -> Target {
    .target(
        name: name, path: "Sources/C/\(name)",
        cSettings: [.unsafeFlags(["-O3", "-Wall", "-Wextra"])],
        cxxSettings: cxx ? [.unsafeFlags(["-O3", "-Wall", "-Wextra", "-fno-exceptions", "-fno-rtti"])] : [],
        linkerSettings: links.map { .linkedLibrary($0) })
}

func library(_ name: String, package: String, pkgConfig: String?) -> Target {
    .systemLibrary(name: name, path: "Sources/C/\(name)", pkgConfig: pkgConfig, providers: [.apt([package])])
}

let package = Package(
    name: "sluice",
    products: [.executable(name: "sluice", targets: ["sluice"])],
    targets: [
        // C: one folder a library, and the two shims that are our own.
        shim("CSimdjson", links: ["simdjson"], cxx: true),
        shim("CCurl", links: ["curl"]),
        shim("CDuckDB", links: ["dl"]),
        shim("CKeccak"),
        shim("CSHA256"),
        shim("CMalloc"),
        library("CYaml", package: "libyaml-dev", pkgConfig: "yaml-0.1"),
        library("CSQLite", package: "libsqlite3-dev", pkgConfig: "sqlite3"),
        library("CZstd", package: "libzstd-dev", pkgConfig: "libzstd"),
        // Its pkg-config file asks for a macro that would make every build warn; the header is found without.
        library("CPq", package: "libpq-dev", pkgConfig: nil),
        library("CHiredis", package: "libhiredis-dev", pkgConfig: nil),
        library("CRdkafka", package: "librdkafka-dev", pkgConfig: nil),

        // The vocabulary, and what is pure.
        module("SluiceCore", []),
        module("SluiceConfig", ["SluiceCore", "CYaml"]),
        module("SluiceTelemetry", ["SluiceCore"]),
        module("SluiceFormats", ["SluiceCore", "CSimdjson"]),
        module("SluiceChain", ["SluiceCore", "CKeccak"]),

        // I/O, state, runtime.
        module("SluiceNet", ["SluiceCore", "SluiceTelemetry", "CCurl"]),
        module("SluiceStore", ["SluiceCore", "CSQLite"]),
        module("SluiceDuckDB", ["SluiceCore", "CDuckDB"]),
        module("SluiceFlow", ["SluiceCore", "SluiceConfig", "SluiceTelemetry", "SluiceChain", "SluiceStore"]),

        // One line a connector.
        connector("Ethereum"),
        connector("DuckDB", "SluiceDuckDB"),
        connector("Parquet", "SluiceDuckDB", "CSHA256"),
        connector("Postgres", "CPq"),
        connector("Files"),
        // A sink, and shared state for several processes.
        connector("Redis", "CHiredis"),
        connector("ClickHouse"),
        connector("InfluxDB"),
        connector("Kafka", "CRdkafka"),

        module(
            "SluiceCatalog",
            [
                "SluiceCore", "SluiceConfig", "SluiceNet", "SluiceTelemetry", "SluiceFlow", "SluiceStore",
                "EthereumConnector", "DuckDBConnector", "ParquetConnector", "PostgresConnector", "RedisConnector",
                "FilesConnector", "SluiceFormats", "ClickHouseConnector", "InfluxDBConnector", "KafkaConnector",
            ]),
        module("SluiceSimulator", ["SluiceCore", "SluiceFormats", "SluiceChain", "CZstd"]),
        module("SluiceTestKit", ["SluiceCore", "SluiceNet", "SluiceSimulator"]),
        // The command line's pure half (arguments, text, live view, frames), apart from the executable so that it is tested without one.
        module("SluiceCommand", ["SluiceCore", "SluiceConfig", "SluiceFlow", "SluiceDuckDB"]),
        .executableTarget(
            name: "sluice",
            dependencies: [
                "SluiceCommand", "SluiceCore", "SluiceConfig", "SluiceTelemetry", "SluiceFlow", "SluiceStore", "SluiceCatalog",
                "SluiceSimulator",
                "SluiceDuckDB", "SluiceNet", "CMalloc",
            ],
            path: "Sources/sluice", swiftSettings: house),
        .executableTarget(
            name: "sluice-bench",
            dependencies: [
                "SluiceCore", "SluiceFormats", "SluiceSimulator", "EthereumConnector", "DuckDBConnector", "ParquetConnector",
                "SluiceDuckDB", "SluiceFlow", "SluiceTelemetry", "SluiceCommand", "PostgresConnector", "ClickHouseConnector",
                "RedisConnector", "FilesConnector", "SluiceTestKit", "InfluxDBConnector",
                "KafkaConnector", "CRdkafka",
                "CMalloc",
            ],
            path: "Benchmarks", swiftSettings: house),

        tests("SluiceCore", ["SluiceCore", "SluiceTestKit"]),
        tests("SluiceConfig", ["SluiceConfig", "SluiceCore"]),
        tests("SluiceFormats", ["SluiceFormats", "SluiceCore"]),
        tests("SluiceChain", ["SluiceChain", "SluiceCore", "SluiceFormats"]),
        tests("SluiceNet", ["SluiceNet", "SluiceCore", "SluiceTelemetry", "SluiceTestKit"]),
        tests("SluiceCommand", ["SluiceCommand", "SluiceCore", "SluiceFlow", "SluiceDuckDB", "SluiceTelemetry"]),
        tests("SluiceStore", ["SluiceStore", "SluiceCore", "SluiceTestKit"], exclude: ["Golden"]),
        tests("SluiceCatalog", ["SluiceCatalog", "SluiceFlow", "SluiceConfig", "SluiceCore", "KafkaConnector"]),
        tests(
            "SluiceFlow",
            [
                "SluiceFlow", "SluiceCore", "SluiceChain", "SluiceNet", "SluiceTelemetry", "SluiceTestKit", "SluiceStore",
                "SluiceSimulator",
                "EthereumConnector",
            ]),
        tests("SluiceSimulator", ["SluiceSimulator", "SluiceCore", "SluiceChain", "SluiceTestKit", "SluiceNet"]),
        tests(
            "EthereumConnector",
            ["EthereumConnector", "SluiceCore", "SluiceFormats", "SluiceChain", "SluiceNet", "SluiceSimulator", "SluiceTestKit"]),
        tests("SluiceDuckDB", ["SluiceDuckDB", "SluiceCore"]),
        tests("DuckDBConnector", ["DuckDBConnector", "SluiceTestKit", "SluiceDuckDB", "SluiceCore", "SluiceConfig"]),
        tests("ParquetConnector", ["ParquetConnector", "SluiceTestKit", "SluiceDuckDB", "SluiceCore", "SluiceConfig", "SluiceNet"]),
        tests("PostgresConnector", ["PostgresConnector", "SluiceTestKit", "SluiceCore", "SluiceConfig", "SluiceFormats"]),
        tests("FilesConnector", ["FilesConnector", "SluiceTestKit", "SluiceCore", "SluiceConfig", "SluiceFormats"]),
        tests(
            "ClickHouseConnector", ["ClickHouseConnector", "SluiceTestKit", "SluiceCore", "SluiceConfig", "SluiceFormats", "SluiceNet"]),
        tests(
            "InfluxDBConnector",
            ["InfluxDBConnector", "SluiceTestKit", "SluiceCore", "SluiceConfig", "SluiceNet", "SluiceTelemetry"]),
        tests("KafkaConnector", ["KafkaConnector", "SluiceTestKit", "SluiceCore", "SluiceConfig", "SluiceNet"], exclude: ["Python"]),
        tests("RedisConnector", ["RedisConnector", "SluiceCore", "SluiceConfig", "SluiceNet", "SluiceTelemetry", "SluiceTestKit"]),
        // Every sink of the catalogue, by the same clauses.
        tests(
            "Conformance", ["SluiceTestKit", "SluiceCatalog", "SluiceFlow", "SluiceStore", "SluiceConfig", "SluiceCore", "FilesConnector"],
            exclude: ["Python"]),
        tests("EndToEnd", ["SluiceTestKit", "SluiceSimulator", "SluiceStore", "SluiceCore"], exclude: ["Python"]),
    ],
    cLanguageStandard: .gnu17,
    cxxLanguageStandard: .cxx17
)
