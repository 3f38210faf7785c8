import SluiceSimulator
import Testing

/// A configuration with its state, database and lake, all named alike, so that several of them live in one sandbox.
struct Workplace {
    enum Kind: String, Sendable {
        case duckdb, parquet, postgres, clickhouse, influxdb, s3, kafka, csv, jsonl, redis

        /// Those that need no server.
        static let embedded: [Kind] = [.duckdb, .parquet]
        /// Those that write text.
        static let files: [Kind] = [.csv, .jsonl]
        /// Those whose servers can be had.
        static let available: [Kind] =
            embedded + files.filter(isAsked)
            + ((Surroundings.postgres == nil ? [] : [.postgres]) + (Surroundings.clickhouse == nil ? [] : [.clickhouse])
            + (Surroundings.kafka == nil ? [] : [.kafka])
            + (Surroundings.redis == nil ? [] : [.redis])).filter(isAsked) + final
        /// Those of them that `SLUICE_TEST_KINDS` names; all without it.
        static let asked: [Kind] = available.filter(isAsked)

        private static func isAsked(_ kind: Kind) -> Bool { Surroundings.kinds.map { $0.contains(kind.rawValue) } ?? true }

        /// Those that take only what is final, and whose servers can be had.
        static let final: [Kind] =
            ((Surroundings.influxdb == nil ? [] : [.influxdb]) + (Surroundings.s3 == nil ? [] : [.s3])).filter(isAsked)
    }

    let box: Sandbox
    let name: String
    var url: String
    var kinds: [Kind] = [.duckdb]
    var network = "simulated"
    /// Further settings of the network.
    var settings = "poll_interval: 20ms"
    var start = "\(Chain.first)"
    var database: String
    /// Where servers are that are not those of all tests, by kind.
    var servers: [Kind: String] = [:]
    /// Small, so that a run has many transactions and files to be killed in.
    var commitRows = 2000
    var blocksPerFile = 16

    init(_ box: Sandbox, _ name: String, port: UInt16, kinds: [Kind] = [.duckdb]) {
        self.box = box
        self.name = name
        self.kinds = kinds
        url = "http://127.0.0.1:\(port)"
        database = "\(name).duckdb"
    }

    var lake: String { "\(name).lake" }
    var config: String { "\(name).yaml" }
    /// Of this sandbox alone: all share a server.
    var schema: String { (box.folder.split(separator: "/").last.map { $0 + "_" } ?? "") + name }

    /// Where the server of a kind is.
    func server(_ kind: Kind) -> String {
        let common: String? =
            switch kind {
            case .postgres: Surroundings.postgres
            case .clickhouse: Surroundings.clickhouse
            case .redis: Surroundings.redis
            case .influxdb: Surroundings.influxdb
            case .kafka: Surroundings.kafka
            default: nil
            }
        return servers[kind] ?? common ?? ""
    }

    /// Where a reader finds a store.
    private func place(_ kind: Kind) -> String {
        switch kind {
        case .duckdb: database
        case .parquet: lake
        case .redis: "\(server(kind))#\(schema):"
        case .csv, .jsonl: "\(name).\(kind.rawValue)"
        case .postgres, .clickhouse, .influxdb, .kafka: "\(server(kind))#\(schema)"
        case .s3: "\(Surroundings.s3?.url ?? "")#\(Surroundings.s3?.key ?? "")#\(Surroundings.s3?.secret ?? "")#\(schema)"
        }
    }

    /// Writes the configuration anew.
    func write() throws {
        var sinks = ""
        if kinds.contains(.duckdb) { sinks += "  tables: { type: duckdb, path: \"\(database)\", commit_rows: \(commitRows) }\n" }
        if kinds.contains(.parquet) {
            sinks += "  lake: { type: parquet, path: \(lake), blocks_per_file: \(blocksPerFile), tip_blocks: 5 }\n"
        }
        if kinds.contains(.postgres) {
            sinks +=
                "  server: { type: postgres, url: \"\(server(.postgres))\", schema: \(schema), commit_rows: \(commitRows) }\n"
        }
        if kinds.contains(.clickhouse) {
            sinks += "  columns: { type: clickhouse, url: \"\(server(.clickhouse))\", database: \"\(schema)\", "
            sinks += "batch_rows: \(commitRows), hold_back: false }\n"
        }
        if kinds.contains(.influxdb) {
            sinks +=
                "  points: { type: influxdb, url: \"\(server(.influxdb))\", database: \(schema), batch_rows: \(commitRows) }\n"
        }
        if kinds.contains(.s3), let s3 = Surroundings.s3 {
            sinks +=
                "  bucket: { type: parquet, path: \"s3://sluice/\(schema)\", endpoint: \"\(s3.url)\", access_key: \(s3.key), secret_key: \"\(s3.secret)\", spool: \(name).spool, blocks_per_file: \(blocksPerFile), tip_blocks: 5 }\n"
        }
        if kinds.contains(.kafka) {
            sinks +=
                "  bus: { type: kafka, brokers: \"\(server(.kafka))\", topic: \"\(schema).{table}\", "
                + "positions_topic: \(schema).positions, commit_rows: \(commitRows) }\n"
        }
        if kinds.contains(.redis) {
            sinks +=
                "  redis: { type: redis, url: \"\(server(.redis))\", prefix: \"\(schema):\", commit_rows: \(commitRows) }\n"
        }
        for kind in Kind.files where kinds.contains(kind) {
            sinks += "  \(kind): { type: \(kind), path: \(place(kind)), commit_rows: \(commitRows) }\n"
        }
        let names = kinds.map(Self.name).joined(separator: ", ")
        try Surroundings.write(
            """
            state: \(name).state
            networks:
              \(network): { endpoints: ["\(url)"], \(settings) }
            sinks:
            \(sinks)pipelines:
              main:
                network: \(network)
                registers: [geth_block, erc20_transfers, erc721_transfers, erc1155_transfers]
                start: \(start)
                sinks: [\(names)]

            """, to: box.path(config))
    }

    /// What the sink of a kind is called.
    static func name(_ kind: Kind) -> String {
        let called: [Kind: String] = [
            .duckdb: "tables", .parquet: "lake", .postgres: "server", .clickhouse: "columns", .influxdb: "points", .s3: "bucket",
            .kafka: "bus",
        ]
        return called[kind] ?? kind.rawValue
    }

    func startBackfill(_ range: ClosedRange<UInt64>) throws -> ChildProgram {
        try write()
        return try box.start(["backfill", "-c", config, "--from", "\(range.lowerBound)", "--to", "\(range.upperBound)"])
    }

    func startRun(_ arguments: String...) throws -> ChildProgram {
        try write()
        return try box.start(["run", "-c", config] + arguments)
    }

    /// Runs a backfill that must end well.
    func backfill(_ range: ClosedRange<UInt64>, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let child = try startBackfill(range)
        let ending = try await child.wait()
        #expect(ending == .exited(0), "\(child.errors.suffix(2000))", sourceLocation: sourceLocation)
    }

    /// Follows up to a block; must end well.
    func run(until block: UInt64, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let child = try startRun("--until-block", "\(block)")
        let ending = try await child.wait()
        #expect(ending == .exited(0), "\(child.errors.suffix(2000))", sourceLocation: sourceLocation)
    }

    /// What another reader finds in a store.
    func tables(_ kind: Kind) async throws -> [String: TableSummary] {
        try await box.python("stores.py", "summary", kind.rawValue, place(kind))
    }

    /// Exact sums, by name.
    func sums(_ kind: Kind) async throws -> [String: String] {
        try await box.python("stores.py", "sums", kind.rawValue, place(kind))
    }
}

/// What another reader finds in one table.
struct TableSummary: Decodable, Equatable, Sendable {
    let rows: Int
    /// Distinct keys; less than `rows` when a row is there twice.
    let distinct: Int
    /// Distinct block numbers.
    let blocks: Int
    let first: UInt64
    let last: UInt64
    /// Blocks with another parent than the block before, rows of no block.
    let astray: Int
    /// SHA-256 of the ordered rows.
    let digest: String
}

extension [String: TableSummary] {
    /// That no row is there twice, none is astray, and the blocks are these without a hole.
    func expectWhole(_ range: ClosedRange<UInt64>?, sourceLocation: SourceLocation = #_sourceLocation) {
        for (name, table) in self {
            #expect(table.rows == table.distinct, "\(name)", sourceLocation: sourceLocation)
            #expect(table.astray == 0, "\(name)", sourceLocation: sourceLocation)
        }
        guard let range else { return }
        guard let blocks = self["blocks"] else {
            Issue.record("there are no blocks", sourceLocation: sourceLocation)
            return
        }
        #expect(blocks.first...blocks.last == range, sourceLocation: sourceLocation)
        #expect(blocks.blocks == range.count && blocks.rows == range.count, "\(blocks)", sourceLocation: sourceLocation)
        #expect(count == 7, "\(keys.sorted())", sourceLocation: sourceLocation)
    }
}

extension [String: TableSummary] {
    /// That a store that takes only what is final has everything from `first` on to less than a batch below finality.
    func expectFinal(from first: UInt64, finalized: UInt64, sourceLocation: SourceLocation = #_sourceLocation) {
        let last = self["blocks"]?.last ?? 0
        // A batch that is not final as a whole waits as a whole.
        #expect(last <= finalized && last + 32 > finalized, "\(last) of \(finalized)", sourceLocation: sourceLocation)
        if last >= first { expectWhole(first...last, sourceLocation: sourceLocation) }
    }
}

/// Generated chains, and simulators that serve them.
enum Chain {
    static let first: UInt64 = 20_000_000

    static func options(seed: UInt64 = 5, blocks: Int) -> GeneratorOptions {
        var options = GeneratorOptions(seed: seed)
        options.chainID = 1337
        options.first = first
        options.history = blocks
        options.transactions = 2...12
        options.window = 1024
        return options
    }

    /// The first `count` blocks.
    static func blocks(_ count: Int) -> ClosedRange<UInt64> { first...(first + UInt64(count) - 1) }

    /// Serves a chain while `body` runs.
    static func serving(
        _ generator: GeneratorOptions, adjust: (inout SimulatorOptions) -> Void = { _ in },
        _ body: (Simulator, UInt16) async throws -> Void
    ) async throws {
        var options = SimulatorOptions(.generated(generator))
        adjust(&options)
        let simulator = try Simulator(options)
        let port = try await simulator.start()
        do { try await body(simulator, port) } catch {
            await simulator.stop()
            throw error
        }
        await simulator.stop()
    }
}
