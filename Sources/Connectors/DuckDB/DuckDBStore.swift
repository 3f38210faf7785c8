import Glibc
import SluiceCore
import SluiceDuckDB

extension SluiceError.Code {
    /// A transaction of several streams failed, and this stream had rows in it.
    static let sinkReopen = Self("sink.reopen")
}

/// The database file and what is on its way into it, on one thread.
///
/// The open transaction holds the staged rows of all streams; a commit sets all of their positions. When anything fails, the
/// transaction is rolled back, what was taken and not committed is forgotten, and each stream that lost rows must ask for its
/// position and resend from there.
actor DuckDBStore {
    struct Stream {
        let schemas: [Schema]
        /// What is committed.
        var durable: Coverage
        /// What will be, with the open transaction; nil when it holds nothing of this stream.
        var staged: Coverage?
        /// What was taken, but not handed to DuckDB.
        var held: [Batch] = []
        var heldBytes = 0
        /// What is covered with all that was taken.
        var taken: Coverage
        /// The last block of the batch that was staged last.
        var stagedEnd: Position?
        /// The last block of the batch that was committed last, until the caller is told.
        var news: Position?
        var lost = false
    }

    let options: DuckDBSinkOptions
    /// The thread that everything happens on.
    nonisolated let worker = WorkerThread(name: "duckdb-sink")
    private var session: DuckDBSession?
    var streams: [StreamID: Stream] = [:]
    private var inTransaction = false
    private var openRows = 0
    private var openBytes = 0
    private var bytesSinceOpened = 0
    /// Bytes of columns that are written before the file is opened afresh.
    private static let reopenBytes = 1 << 30

    nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }

    init(_ options: DuckDBSinkOptions) { self.options = options }

    // MARK: streams

    func open(_ id: StreamID, tables: [Schema]) throws {
        for table in tables {
            _ = try table.requiredBlockNumberField()
            guard table.index(of: "chain_id") != nil else {
                throw SluiceError(.duckdbSQL, .config, "table \(table.name) has no chain_id, so its rows could not be undone")
            }
        }
        // A stream that is opened again starts from what is committed; what it held is sent again.
        streams[id]?.held = []
        streams[id]?.heldBytes = 0
        if inTransaction { try commit() }
        let session = try openedPatiently()
        try session.transaction("opening \(id) in \(options.path)") {
            try Migration(session: session, stream: id, path: options.path, compression: options.compression).run(tables)
        }
        let durable = try readCoverage(id, session)
        streams[id] = Stream(schemas: tables, durable: durable, taken: durable)
    }

    func coverage(of id: StreamID) throws -> [Segment] {
        guard let stream = streams[id] else { throw id.isNotOpen }
        guard stream.lost else { return stream.taken.segments }
        let durable = try readCoverage(id, try opened())
        streams[id] = Stream(schemas: stream.schemas, durable: durable, taken: durable)
        return durable.segments
    }

    func write(_ batch: Batch, of id: StreamID) throws -> Position? {
        var stream = try ready(id)
        try batch.requireFit(id, stream.schemas)
        try stream.taken.append(batch.span, stream: id)
        stream.held.append(batch)
        stream.heldBytes += batch.byteCount
        streams[id] = stream
        let held = streams.values.reduce(into: (rows: openRows, bytes: openBytes)) { sum, stream in
            sum.rows += stream.held.reduce(0) { $0 + $1.rowCount }
            sum.bytes += stream.heldBytes
        }
        if held.rows >= options.commitRows || held.bytes >= options.commitBytes {
            try commit()
        } else if stream.heldBytes >= options.stageBytes {
            try guarded { try stage(id, $0) }
        }
        return report(id)
    }

    func flush(_ id: StreamID) throws -> Position? {
        let stream = try ready(id)
        if stream.taken != stream.durable { try commit() }
        return report(id)
    }

    func rollback(_ id: StreamID, to position: Position) throws {
        var stream = try ready(id)
        guard let removed = stream.taken.rollback(to: position) else { return }
        // What was not handed over yet need not be undone. A batch that begins before the position goes in first, and is cut there.
        stream.held.removeAll { removed.contains($0.span.first) }
        stream.news = nil
        stream.heldBytes = stream.held.reduce(0) { $0 + $1.byteCount }
        streams[id] = stream
        try guarded { session in
            try stage(id, session)
            try begin(session)
            for schema in stream.schemas {
                let field = DuckDBSession.quoted(try schema.requiredBlockNumberField())
                try session.execute(
                    """
                    DELETE FROM main.\(DuckDBSession.quoted(schema.name)) WHERE chain_id = \(id.chainID)
                    AND \(field) BETWEEN \(removed.lowerBound) AND \(removed.upperBound)
                    """, doing: "undoing rows of \(schema.name) in \(options.path)")
            }
            streams[id]?.staged = stream.taken
            // The caller knows this position: it named it.
            streams[id]?.stagedEnd = nil
        }
        try commit()
    }

    /// Rolls back what is not committed and closes the file.
    func close() {
        forget()
        streams = [:]
        session = nil
    }

    // MARK: transactions

    /// Commits what is staged, and what is held.
    /// - Parameter isTold: whether the segments in the file tell afterwards that it has happened.
    func commit(isTold: Bool = true) throws {
        var targets: [StreamID: Coverage] = [:]
        try guarded { session in
            for id in streams.keys { try stage(id, session) }
            targets = streams.compactMapValues(\.staged)
            for (id, coverage) in targets { try store(coverage, of: id, session) }
        }
        guard inTransaction else { return }
        do {
            // No name for the session here: should it fail, none may be left over from it when the file is reopened.
            try opened().execute("COMMIT", doing: "committing to \(options.path)")
        } catch {
            try settle(isTold ? targets : nil, after: error)
        }
        inTransaction = false
        bytesSinceOpened += openBytes
        openRows = 0
        openBytes = 0
        if bytesSinceOpened >= Self.reopenBytes {
            // DuckDB remembers every segment that it wrote, some kilobytes a megabyte; an open file forgets them, and reads what it
            // needs again. Should it not open, the next step says so.
            bytesSinceOpened = 0
            session = nil
            _ = try? opened()
        }
        for (id, coverage) in targets {
            streams[id]?.durable = coverage
            streams[id]?.staged = nil
            if let end = streams[id]?.stagedEnd { streams[id]?.news = end }
            streams[id]?.stagedEnd = nil
        }
    }

    /// A commit that failed may have happened: what the reopened file says is the truth.
    /// - Parameter targets: what it says then; nil when it does not tell.
    private func settle(_ targets: [StreamID: Coverage]?, after failure: any Error) throws {
        session = nil
        inTransaction = false
        do {
            let fresh = try opened()
            guard let targets else { throw failure }
            for (id, coverage) in targets where try readCoverage(id, fresh) != coverage { throw failure }
        } catch {
            // The file may not open either; what failed first is what the operator must mend.
            forget()
            throw failure
        }
    }

    /// Hands the held batches of a stream to DuckDB.
    func stage(_ id: StreamID, _ session: DuckDBSession) throws {
        guard var stream = streams[id], let last = stream.held.last else { return }
        try begin(session)
        for schema in stream.schemas {
            let slices = stream.held.compactMap { $0.table(schema.name) }.filter { $0.rowCount > 0 }.map { TableSlice($0) }
            try session.insert(slices, into: "main." + DuckDBSession.quoted(schema.name))
        }
        openRows += stream.held.reduce(0) { $0 + $1.rowCount }
        openBytes += stream.heldBytes
        stream.staged = stream.taken
        stream.stagedEnd = last.span.last
        stream.held = []
        stream.heldBytes = 0
        streams[id] = stream
    }

    func begin(_ session: DuckDBSession) throws {
        if inTransaction { return }
        try session.execute("BEGIN", doing: "beginning a transaction in \(options.path)")
        inTransaction = true
    }

    /// Runs `body`; when it fails, rolls back and lets every stream that lost rows know.
    func guarded(_ body: (DuckDBSession) throws -> Void) throws {
        do {
            try body(try opened())
        } catch {
            forget()
            if let error = error as? SluiceError, error.class == .config || error.class == .fatal { throw error }
            // After an error of the disk the state in memory is not to be trusted: the file is opened afresh.
            session = nil
            throw error
        }
    }

    /// Rolls back the open transaction, and what is held with it.
    private func forget() {
        if inTransaction { try? session?.execute("ROLLBACK") }
        inTransaction = false
        openRows = 0
        openBytes = 0
        for (id, stream) in streams {
            streams[id]?.staged = nil
            streams[id]?.stagedEnd = nil
            guard stream.taken != stream.durable else { continue }
            streams[id]?.held = []
            streams[id]?.heldBytes = 0
            streams[id]?.news = nil
            streams[id]?.lost = true
        }
    }

    // MARK: pieces

    func opened() throws -> DuckDBSession {
        if let session { return session }
        let folder = Folder.parent(of: options.path)
        try Folder.create(folder)
        // Somebody who reads may hold the file still: then the same database serves both.
        let database =
            try DuckDBDatabase.opened(options.path)
            ?? DuckDBDatabase(path: options.path, settings: options.settings, rowGroupSize: options.rowGroupSize)
        try Folder.sync(folder)
        let session = try database.connect()
        self.session = session
        return session
    }

    /// Whoever only looks at a file that nobody writes, as `sluice status` does, has it open for a moment.
    private func openedPatiently() throws -> DuckDBSession {
        for _ in 0..<20 {
            do { return try opened() } catch let error as SluiceError where error.code == .duckdbLocked && error.class == .pause {
                usleep(100_000)
            }
        }
        return try opened()
    }

    func ready(_ id: StreamID) throws -> Stream {
        guard let stream = streams[id] else { throw id.isNotOpen }
        guard !stream.lost else {
            throw SluiceError(.sinkReopen, .retry, "rows of \(id) were rolled back: resume from the stored position")
        }
        return stream
    }

    private func report(_ id: StreamID) -> Position? {
        defer { streams[id]?.news = nil }
        return streams[id]?.news
    }

    func readCoverage(_ id: StreamID, _ session: DuckDBSession) throws -> Coverage {
        let rows = try session.rows(
            """
            SELECT first, number, hash FROM sluice.segments
            WHERE stream = \(DuckDBSession.literal(id.pipeline)) AND chain_id = \(id.chainID) ORDER BY first
            """, doing: "reading what \(options.path) holds of \(id)")
        var segments: [Segment] = []
        for row in rows {
            guard let first = row[0].uint64, let number = row[1].uint64, let hash = row[2].bytes.flatMap({ Hash32($0) }), first <= number,
                segments.last.map({ $0.last.number < first }) ?? true
            else {
                throw SluiceError(
                    .duckdbOpen, .pause, "sluice.segments in \(options.path) is damaged for stream \(id)",
                    mend: "restore the file, or write to another path")
            }
            segments.append(Segment(first: first, last: Position(number: number, hash: hash)))
        }
        return Coverage(segments)
    }

    /// Writes what changed: mostly the end of one segment.
    private func store(_ coverage: Coverage, of id: StreamID, _ session: DuckDBSession) throws {
        let key = "stream = \(DuckDBSession.literal(id.pipeline)) AND chain_id = \(id.chainID)"
        let before = Dictionary((streams[id]?.durable.segments ?? []).map { ($0.first, $0) }, uniquingKeysWith: { first, _ in first })
        var statements: [String] = []
        for segment in coverage.segments where before[segment.first] != segment {
            let (end, hash) = (segment.last.number, "unhex('\(segment.last.hash.description.dropFirst(2))')")
            let values = "\(DuckDBSession.literal(id.pipeline)), \(id.chainID), \(segment.first), \(end), \(hash)"
            statements.append(
                before[segment.first] == nil
                    ? "INSERT INTO sluice.segments VALUES (\(values))"
                    : "UPDATE sluice.segments SET number = \(end), hash = \(hash) WHERE \(key) AND first = \(segment.first)")
        }
        let kept = Set(coverage.segments.map(\.first))
        for first in before.keys.sorted() where !kept.contains(first) {
            statements.append("DELETE FROM sluice.segments WHERE \(key) AND first = \(first)")
        }
        guard !statements.isEmpty else { return }
        try session.execute(statements.joined(separator: ";\n"), doing: "storing how far \(id) is")
    }
}
