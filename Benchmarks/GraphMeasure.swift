import Glibc
import SluiceCore
import SluiceFlow
import SluiceTelemetry
import Synchronization

/// The graph alone, without network and store: `sluice-bench measure graph... BATCHES ROWS`. Oracles send prepared batches of one block
/// through components into a sink that discards.
struct GraphMeasure {
    enum Shape: String, CaseIterable {
        /// One stream through three pipes: map, filter, map.
        case pipes = "graph"
        /// Two streams through an aggregator, which stands in the place of the first of those pipes.
        case aggregatedPipes = "graph-aggregated"
        /// Two streams through an aggregator.
        case aggregator = "graph-aggregator"
        /// Two streams, each through one pipe that does what that aggregator does.
        case streams = "graph-streams"
        /// The same with an edge before each pipe, as the aggregator has its own before it.
        case edgedStreams = "graph-edged-streams"

        var isAggregated: Bool { self == .aggregator || self == .aggregatedPipes }
        var hasTwoGraphs: Bool { self == .streams || self == .edgedStreams }
    }

    let batches: Int
    let rows: Int
    let shape: Shape

    /// Prints what it cost, and the memory of the process after a tenth of the batches and after the last.
    func run() async throws {
        let oracle = PreparedOracle(batches: batches, rows: rows, shape: shape)
        let sink = DiscardingSink()
        let start = Usage.own().cpu
        let clock = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await run(oracle, sink) }
            if shape.hasTwoGraphs { group.addTask { try await run(PreparedOracle(batches: batches, rows: rows, shape: shape), sink) } }
            try await group.waitForAll()
        }
        guard sink.rows.load(ordering: .relaxed) == expected else { throw BenchError("rows are missing behind the graph") }
        let cpu = Usage.own().cpu - start
        Text.say(
            "cpu=\(cpu) wall=\((ContinuousClock.now - clock).seconds) "
                + "early=\(oracle.memoryEarly.load(ordering: .relaxed)) late=\(oracle.memoryLate.load(ordering: .relaxed))")
    }

    private func run(_ oracle: PreparedOracle, _ sink: DiscardingSink) async throws {
        let (registers, last) = Self.registers(shape)
        let registry = try Registry(registers)
        let hub = Hub(
            Hub.Surroundings(registry: registry, journal: NoJournal(), time: .live, log: .disabled) { _, _ in oracle })
        let definition = PipelineDefinition(name: "bench", chainID: 1, registers: [try registry.register(last)], start: 1)
        let branch = Branch(
            definition, goal: .range(1...UInt64(batches)), sinks: [SinkAttachment("sink", sink)], progress: PipelineProgress())
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await hub.run() }
            hub.join([branch])
            let end = await branch.ended()
            if case .failed(let error) = end { Text.say("\(error)", to: STDERR_FILENO) }
            hub.end()
        }
    }

    /// Rows that come out.
    private var expected: Int {
        switch shape {
        case .aggregator: batches * rows
        case .streams, .edgedStreams: 2 * batches * rows
        // What the filter leaves.
        case .pipes, .aggregatedPipes: batches * (1...rows).reduce(0) { $0 + (($1 * 3 + 1) & 7 != 0 ? 1 : 0) }
        }
    }

    private static func register(
        _ name: String, _ number: UInt8, _ step: NumbersPipe.Step, from source: String? = nil, shape: Schema? = nil
    ) -> Register {
        let schema = shape ?? Numbers.schema(name)
        let pipe = NumbersPipe(step: step, source: source ?? name, schemas: [schema])
        return Register(
            name: name, number: RegisterType(rawValue: number), doc: "", schemas: [schema], dependencies: source.map { [$0] } ?? [],
            needs: [Need(source ?? name)], maker: source == nil ? .oracle { pipe } : .pipe { _ in pipe })
    }

    /// All registers, and the one that is asked for.
    private static func registers(_ shape: Shape) -> ([Register], String) {
        let first =
            shape.isAggregated
            ? [register("mapped", 202, .pass, shape: NumbersAggregator.schema)]
            : [register("values", 201, .pass), register("mapped", 202, .map, from: "values")]
        switch shape {
        case .aggregator, .streams, .edgedStreams: return (first, "mapped")
        case .pipes, .aggregatedPipes:
            return (first + [register("kept", 203, .filter, from: "mapped"), register("last", 204, .map, from: "kept")], "last")
        }
    }

    /// Bytes of this process that are in memory.
    static func residentBytes() -> Int {
        let words = (Text.file("/proc/self/statm") ?? "").split(separator: " ")
        return (words.count > 1 ? Int(words[1]) ?? 0 : 0) * sysconf(Int32(_SC_PAGESIZE))
    }
}

/// Sends the same rows again and again under new block numbers.
private final class PreparedOracle: Oracle {
    let memoryEarly = Atomic(0)
    let memoryLate = Atomic(0)
    private let batches: Int
    private let tables: [Table]
    private let shape: GraphMeasure.Shape
    private let stamp = [BlockStamp(hash: .zero, timestamp: 1_700_000_000)]

    init(batches: Int, rows: Int, shape: GraphMeasure.Shape) {
        self.batches = batches
        self.shape = shape
        tables = [Numbers.ascending(Numbers.schema("values"), rows)]
    }

    func head() async throws -> ChainHead { ChainHead(latest: UInt64(batches), finalized: UInt64(batches)) }
    func settle(_ position: Position, finalized: UInt64?) async throws -> Position { position }
    func live(from position: Position?, start: UInt64?, until: UInt64?, into egress: any Egress) async throws {}

    func backfill(_ range: ClosedRange<UInt64>, after position: Position?, into egress: any Egress) async throws {
        if shape == .edgedStreams { return try await sendByEdge(into: egress) }
        guard shape.isAggregated else { return try await send(into: egress, isMeasured: true) }
        // A stream that is ahead of the other waits soon, or memory would show how far.
        let stage = try AggregateStage(
            NumbersAggregator(), streams: 2, chainID: 1, into: egress, limits: .init(streamBytes: 2 << 20))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await stage.run() }
            for (index, ingress) in stage.ingresses.enumerated() {
                group.addTask {
                    try await self.send(into: ingress, isMeasured: index == 0)
                    try await ingress.finish()
                }
            }
            try await group.waitForAll()
        }
    }

    /// Has another task send, and takes what comes along the edge; in shoals, as the runtime does.
    private func sendByEdge(into egress: any Egress) async throws {
        let edge = Edge(capacity: 2 << 20)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await self.send(into: EdgeEgress(edge: edge), isMeasured: true)
                edge.finish()
            }
            while let first = try await edge.receive() {
                try await egress.send(first)
                while let next = edge.receiveNow() { try await egress.send(next) }
                try await Task.sleep(for: .microseconds(500))
            }
            try await group.waitForAll()
        }
    }

    private struct EdgeEgress: Egress {
        let edge: Edge
        func send(_ transit: Transit) async throws { try await edge.send(transit) }
    }

    private func send(into egress: any Egress, isMeasured: Bool) async throws {
        for number in 1...batches {
            if isMeasured, number == batches / 10 { memoryEarly.store(GraphMeasure.residentBytes(), ordering: .relaxed) }
            let span = Span(first: UInt64(number), parentHash: .zero, blocks: stamp)
            try await egress.send(.batch(Batch(chainID: 1, span: span, tables: tables)))
            // As a node does: only so much may still be undone.
            if number % 64 == 0 { try await egress.send(.finalized(UInt64(number - 32))) }
        }
        if isMeasured { memoryLate.store(GraphMeasure.residentBytes(), ordering: .relaxed) }
    }
}
