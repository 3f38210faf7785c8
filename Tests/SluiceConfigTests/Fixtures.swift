import SluiceConfig

/// A catalog of two sinks and five registers, as the tests need it.
enum Fixtures {
    static let catalog = ConfigCatalog(
        sinkSpecs: [
            "duckdb": ObjectSpec(
                "An embedded database.",
                [
                    FieldSpec("path", .path, "The file.", example: "data/sluice.duckdb", required: true),
                    FieldSpec("memory_limit", .bytes((16 << 20)...(64 << 30)), "Memory it may use.", default: "96MiB"),
                    FieldSpec("commit_rows", .int(1...10_000_000), "Rows of one commit.", default: "100_000", unit: "rows"),
                    FieldSpec("password", .string, "Key of the file.", secret: true),
                    FieldSpec("read_only", .bool, "Opens without writing.", default: "false"),
                ]),
            "parquet": ObjectSpec(
                "Files in a folder.",
                [
                    FieldSpec("path", .path, "The folder.", example: "data/lake", required: true),
                    FieldSpec("blocks_per_file", .int(1...1_000_000), "Blocks in one file.", default: "1000"),
                    FieldSpec("compression", .choice(["zstd", "snappy", "none"]), "How pages are packed.", default: "zstd"),
                ]),
        ],
        registers: ["blocks", "transactions", "logs", "erc20_transfers", "erc20_balances"],
        tables: { register in register == "erc20_balances" ? ["erc20_balances", "erc20_transfers"] : [register] })

    /// A configuration that uses most of what there is.
    static let good = """
        state: data/state.db
        networks:
          ethereum:
            endpoints:
              - "${ETH_RPC_URL}"
              - { url: "https://two.example:8545/key", requests_per_second: 200.5, max_in_flight: 8, headers: { X-Key: abc123 } }
            finality_depth: 64
            retry_budget: 2m
          my-chain:
            endpoints: [http://127.0.0.1:8545]
            chain_id: 5_000
            block_time: 500ms
            verify: full
        sinks:
          warehouse: { type: duckdb, path: data/sluice.duckdb, memory_limit: 128MiB, password: "${PW:-none}" }
          lake:
            type: parquet
            path: data/lake
            compression: snappy
        pipelines:
          transfers: { network: ethereum, register: erc20_transfers, start: 19000000, sinks: [warehouse] }
          raw:
            network: my-chain
            registers: [blocks, transactions, logs]
            start: latest
            sinks: [warehouse, lake]

        """

    static let environment = ConfigEnvironment.fixed(["ETH_RPC_URL": "https://one.example/v2/SECRETKEY"])

    static func load(_ text: String, _ environment: ConfigEnvironment = environment) throws(ConfigError) -> SluiceConfiguration {
        try SluiceConfiguration.load(text: text, file: "sluice.yaml", catalog: catalog, environment: environment)
    }

    /// The problems of a text; empty when it loads.
    static func problems(_ text: String, _ environment: ConfigEnvironment = environment) -> [ConfigProblem] {
        do throws(ConfigError) {
            _ = try load(text, environment)
            return []
        } catch {
            return error.problems
        }
    }
}
