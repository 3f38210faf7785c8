import SluiceCore
import SluiceFormats
import SluiceNet

/// Writes one stream's rows, on a thread of its own for what blocks.
///
/// Rows first, then the ledger's row that says that they are there. Whatever fails between leaves rows of which the ledger does not speak: before
/// anything more is written they are marked as deleted, by a version that is greater than theirs and that the ledger has been raised beyond before.
actor ClickHouseWriter {
    let id: StreamID
    let connection: ClickHouseConnection
    private let schemas: [Schema]
    private let segments: any SegmentStore
    let time: TimeSource
    /// By which this process is known in the ledger.
    private let writer: UInt64
    nonisolated let worker = WorkerThread(name: "clickhouse-sink")
    private(set) var layouts: [ClickHouseLayout] = []
    private(set) var ledger: ClickHouseLedger
    private(set) var tables: ClickHouseTables
    /// What is covered with all that was taken.
    private var taken = Coverage()
    private(set) var held: [Batch] = []
    private var rows = 0
    private var bytes = 0
    /// The last block that became durable, until the caller is told.
    private var news: Position?
    private var lost = false
    private var requests = 0
    /// Tables of what is held whose rows are at the server, except for those that it refused.
    var loaded: (blocks: String, tables: Set<String>) = ("", [])
    /// Rows that the server refused and that are held no longer, until the caller is told.
    var unsaid: [RefusedRow] = []
    /// Inserts of several tables go at once.
    let gate: RequestGate

    nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }

    var options: ClickHouseSinkOptions { connection.options }

    init(
        _ id: StreamID, _ schemas: [Schema], _ connection: ClickHouseConnection, segments: any SegmentStore, time: TimeSource,
        writer: UInt64
    ) {
        self.id = id
        self.writer = writer
        gate = RequestGate(maximum: connection.options.inserts, time: time)
        self.schemas = schemas
        self.connection = connection
        self.segments = segments
        self.time = time
        ledger = ClickHouseLedger(stream: id)
        tables = ClickHouseTables(options: connection.options, server: ClickHouseServer(version: "", types: [], settings: []))
    }

    // MARK: - The stream

    /// Makes the tables, and finds out what is there.
    func open() async throws {
        let server = try await ClickHouseServer.probe(connection)
        tables = ClickHouseTables(options: options, server: server)
        try await settle()
        let migration = ClickHouseMigration(connection: connection, tables: tables, stream: id)
        (layouts, ledger) = try await migration.run(schemas)
        ledger.writer = writer
        try await recover()
    }

    /// After a failure it also makes the stream usable again, from what the server holds: that is the truth, because a step that failed
    /// may have been done.
    func coverage() async throws -> [Segment] {
        if lost {
            try await settle()
            let migration = ClickHouseMigration(connection: connection, tables: tables, stream: id)
            let stored = try await migration.ledgers().first { $0.stream == id }
            guard let stored, stored.writer == ledger.writer else { throw fenced() }
            ledger = stored
            try await recover()
            lost = false
        }
        return taken.segments
    }

    func write(_ batch: Batch) async throws -> Position? {
        try check(batch)
        try taken.append(batch.span, stream: id)
        held.append(batch)
        rows += batch.rowCount
        bytes += batch.byteCount
        if rows >= options.batchRows || bytes >= options.batchBytes { try await commit() }
        return report()
    }

    func flush() async throws -> Position? {
        try checkUsable()
        try await commitHeld()
        return report()
    }

    func rollback(to position: Position) async throws {
        try checkUsable()
        guard let removed = taken.rollback(to: position) else { return }
        // What was not inserted yet is only forgotten.
        var kept = held.filter { !removed.contains($0.span.first) }
        if let index = kept.firstIndex(where: { removed.contains($0.span.last.number) }) {
            kept[index] = kept[index].through(block: position.number)
        }
        hold(kept)
        try await guarded {
            var durable = ledger.coverage
            guard let gone = durable.rollback(to: position) else { return }
            // First it is said that they are not there: should this end in between, the next start finishes it.
            let version = try await raise(durable)
            for layout in layouts { try await bury([gone], of: layout, version: version) }
        }
        news = nil
    }

    // MARK: - Steps

    func commitHeld() async throws {
        if !held.isEmpty { try await commit() }
    }

    /// Brings what is held to the server, then the ledger's row.
    /// - Throws: `RowsRefused` when the server does not take some rows: all others are there then, those are held no longer, and the next commit says
    ///   so in the ledger.
    func commit() async throws {
        try await guarded {
            guard let first = held.first, let last = held.last else { return }
            if unsaid.isEmpty {
                try await fence()
                unsaid = try await load("\(first.span.first)-\(last.span.last.number):\(last.span.last.hash)")
            }
            guard unsaid.isEmpty else { return }
            try await save(taken, generation: ledger.generation)
            news = last.span.last
            hold([])
        }
        guard !unsaid.isEmpty else { return }
        defer { unsaid = [] }
        throw RowsRefused(unsaid)
    }

    static func constants(version: UInt64, isDeleted: Bool) -> [NativeBlock.Constant] {
        [.uint64(ClickHouseTables.version, version), .uint8(ClickHouseTables.deleted, isDeleted ? 1 : 0)]
    }

    /// Marks what is there of some blocks as deleted.
    private func bury(_ ranges: [ClosedRange<UInt64>], of layout: ClickHouseLayout, version: UInt64) async throws {
        let condition = "chain_id = \(id.chainID) AND \(ClickHouseSQL.among(ranges, layout.block))"
        try await connection.execute(
            "\(tables.insertion(layout.schema)) \(tables.tombstones(layout.schema, version: version, where: condition))",
            tables.server.insertSettings + [("query_id", nextMark())],
            doing: "undoing rows of \(layout.schema.name)")
    }

    /// By what the next request is known at the server.
    func nextMark() -> String {
        requests += 1
        return "\(mark)\(ledger.saved).\(requests)"
    }

    /// What the inserts of this stream are known by at the server.
    private var mark: String { "sluice:\(options.database):\(id):" }

    /// Waits until nothing that an earlier process, or a request that was given up, asked for is under way any more.
    private func settle() async throws {
        for _ in 0..<300 {
            let running: String?
            do {
                running = try await connection.rows(
                    "SELECT count() FROM system.processes WHERE startsWith(query_id, \(ClickHouseSQL.literal(mark)))",
                    doing: "looking for inserts that are under way"
                ).first?.first
            } catch let error as SluiceError where error.code == .clickhouseRefused && error.message.contains("(code 497)") {
                return  // who may not look sees no more than that
            }
            if running == "0" { return }
            try await time.sleep(.milliseconds(200))
        }
        throw SluiceError(.clickhouseUnavailable, .retry, "inserts of \(id) at \(options.shown) that were given up are still under way")
    }

    /// Rows that the ledger does not speak of are what a failure left: they are marked as deleted.
    private func recover() async throws {
        let ranges = ClickHouseLedger.outside(ledger.coverage)
        var left: [ClickHouseLayout] = []
        for layout in layouts {
            let found = try await connection.rows(
                "SELECT count() FROM \(tables.name(layout.schema.name)) FINAL WHERE chain_id = \(id.chainID) AND \(ClickHouseTables.deleted) = 0 "
                    + "AND \(ClickHouseSQL.among(ranges, layout.block))", doing: "looking for unfinished rows of \(layout.schema.name)")
            if found.first?.first != "0" { left.append(layout) }
        }
        if !left.isEmpty {
            let version = try await raise(ledger.coverage)
            for layout in left { try await bury(ranges, of: layout, version: version) }
        } else {
            // From now on a process that was believed dead is refused.
            try await save(ledger.coverage, generation: ledger.generation)
        }
        taken = ledger.coverage
        forget()
    }

    /// Puts the version of new rows above one that is returned, by which rows may say that others are gone; what is there is said anew.
    /// - Parameter steps: how many of them.
    func raise(_ coverage: Coverage, steps: UInt64 = 1) async throws -> UInt64 {
        let version = ledger.generation + 1
        try await save(coverage, generation: ledger.generation + 2 * steps)
        return version
    }

    private func save(_ coverage: Coverage, generation: UInt64) async throws {
        var next = ledger
        next.saved += 1
        next.generation = generation
        next.coverage = coverage
        try await connection.execute(
            next.insertion(into: tables.name(ClickHouseTables.ledger)),
            tables.server.insertSettings.filter { $0.0 == "insert_distributed_sync" },
            doing: "storing how far \(id) is")
        ledger = next
        try segments.save(coverage.segments, of: id)
    }

    /// Makes sure that no other process has opened the stream since.
    private func fence() async throws {
        let query =
            "SELECT argMax(writer, saved) FROM \(tables.name(ClickHouseTables.ledger)) WHERE stream = \(ClickHouseSQL.literal(id.pipeline)) AND chain_id = \(id.chainID)"
        let found = try await connection.rows(query, doing: "making sure that nobody else writes \(id)").first?.first
        guard found == "\(ledger.writer)" else { throw fenced() }
    }

    private func fenced() -> SluiceError {
        SluiceError(
            .clickhouseFenced, .config, "another process has opened \(id) in \(place): this one may not write any more",
            mend: "stop one of the two; two pipelines of one name need databases of their own")
    }

    // MARK: - Pieces

    /// Runs steps; when one fails, what is held is forgotten and the stream resumes from what is stored.
    func guarded(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch {
            forget()
            lost = true
            throw error
        }
    }

    /// Holds these batches instead.
    func hold(_ batches: [Batch]) {
        held = batches
        rows = held.reduce(0) { $0 + $1.rowCount }
        bytes = held.reduce(0) { $0 + $1.byteCount }
    }

    private func forget() {
        hold([])
        (loaded, unsaid, news) = (("", []), [], nil)
    }

    func checkUsable() throws {
        if lost { throw SluiceError(.clickhouseUnavailable, .retry, "rows of \(id) were given up: resume from the stored position") }
    }

    private func check(_ batch: Batch) throws {
        try checkUsable()
        try batch.requireFit(id, layouts.lazy.map(\.schema))
    }

    /// The layout of a table of the stream, whose rows are as it wants them.
    func layout(_ table: Table) throws -> ClickHouseLayout {
        try table.requireFit(id, layouts.lazy.map(\.schema))
        guard let layout = layouts.first(where: { $0.schema == table.schema }) else { throw id.isNotOpen }
        return layout
    }

    /// Where it writes, for messages.
    var place: String { "\(options.database) at \(options.shown)" }

    private func report() -> Position? {
        defer { news = nil }
        return news
    }
}
