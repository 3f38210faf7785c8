import SluiceCore
import SluiceDuckDB

extension SluiceError.Code {
    /// A batch does not continue what the sink holds.
    static let sinkOrder = Self("sink.order")
    /// A transaction of several streams failed, and this stream had rows in it.
    static let sinkReopen = Self("sink.reopen")
}

/// The database file and what is on its way into it, on one thread.
///
/// The open transaction holds the staged rows of all streams; a commit sets all of their positions. When anything fails, the
/// transaction is rolled back, what was taken and not committed is forgotten, and each stream that lost rows must ask for its
/// position and resend from there.
actor DuckDBStore {
    private struct Stream {
        let schemas: [Schema]
        /// What is committed.
        var durable: Position?
        /// What is in the open transaction.
        var staged: Position?
        /// What was taken, but not handed to DuckDB.
        var held: [Batch] = []
        var heldBytes = 0
        var reported: Position?
        var lost = false
        var taken: Position? { held.last?.span.last ?? staged ?? durable }
    }

    private let options: DuckDBSinkOptions
    private let worker = WorkerThread(name: "duckdb-sink")
    private var session: DuckDBSession?
    private var streams: [StreamID: Stream] = [:]
    private var inTransaction = false
    private var openRows = 0
    private var openBytes = 0

    nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }

    init(_ options: DuckDBSinkOptions) { self.options = options }

    deinit { worker.stop() }

    // MARK: streams

    func open(_ id: StreamID, tables: [Schema]) throws {
        for table in tables { _ = try table.requiredBlockNumberField() }
        // A stream that is opened again starts from what is committed; what it held is sent again.
        streams[id]?.held = []
        streams[id]?.heldBytes = 0
        if inTransaction { try commit() }
        let session = try opened()
        try session.transaction("opening \(id) in \(options.path)") {
            try Migration(session: session, stream: id, path: options.path).run(tables)
        }
        let durable = try readPosition(id, session)
        streams[id] = Stream(schemas: tables, durable: durable, reported: durable)
    }

    func position(of id: StreamID) throws -> Position? {
        guard let stream = streams[id] else { throw unknown(id) }
        guard stream.lost else { return stream.durable }
        let durable = try readPosition(id, try opened())
        streams[id] = Stream(schemas: stream.schemas, durable: durable, reported: durable)
        return durable
    }

    func write(_ batch: Batch, of id: StreamID) throws -> Position? {
        var stream = try ready(id)
        try check(batch, id, stream)
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
        _ = report(id)
        return streams[id]?.durable
    }

    func rollback(_ id: StreamID, to position: Position) throws {
        var stream = try ready(id)
        if let taken = stream.taken, taken.number < position.number {
            throw SluiceError(.sinkOrder, .fatal, "rolling back \(id) to \(position), though only \(taken) was taken")
        }
        stream.held.removeAll { $0.span.first > position.number }
        stream.heldBytes = stream.held.reduce(0) { $0 + $1.byteCount }
        streams[id] = stream
        try guarded { session in
            // A batch that begins before the position and ends behind it goes in first, and is cut there.
            try stage(id, session)
            try begin(session)
            for schema in stream.schemas {
                let field = DuckDBSession.quoted(try schema.requiredBlockNumberField())
                try session.execute(
                    "DELETE FROM main.\(DuckDBSession.quoted(schema.name)) WHERE chain_id = \(id.chainID) AND "
                        + "\(field) > \(position.number)",
                    doing: "undoing rows of \(schema.name) in \(options.path)")
            }
            streams[id]?.staged = position
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

    private func commit() throws {
        var targets: [StreamID: Position] = [:]
        try guarded { session in
            for id in streams.keys { try stage(id, session) }
            targets = streams.compactMapValues(\.staged)
            for (id, position) in targets { try Self.store(position, of: id, session) }
        }
        guard inTransaction else { return }
        do {
            // No name for the session here: should it fail, none may be left over from it when the file is reopened.
            try opened().execute("COMMIT", doing: "committing to \(options.path)")
        } catch {
            try settle(targets, after: error)
        }
        inTransaction = false
        openRows = 0
        openBytes = 0
        for (id, position) in targets {
            streams[id]?.durable = position
            streams[id]?.staged = nil
        }
    }

    /// A commit that failed may have happened: what the reopened file says is the truth.
    private func settle(_ targets: [StreamID: Position], after failure: any Error) throws {
        session = nil
        inTransaction = false
        do {
            let fresh = try opened()
            for (id, position) in targets where try readPosition(id, fresh) != position { throw failure }
        } catch {
            // The file may not open either; what failed first is what the operator must mend.
            forget()
            throw failure
        }
    }

    /// Hands the held batches of a stream to DuckDB.
    private func stage(_ id: StreamID, _ session: DuckDBSession) throws {
        guard var stream = streams[id], let last = stream.held.last else { return }
        try begin(session)
        for schema in stream.schemas {
            let slices = stream.held.compactMap { $0.table(schema.name) }.filter { $0.rowCount > 0 }.map { TableSlice($0) }
            try session.insert(slices, into: "main." + DuckDBSession.quoted(schema.name))
        }
        openRows += stream.held.reduce(0) { $0 + $1.rowCount }
        openBytes += stream.heldBytes
        stream.staged = last.span.last
        stream.held = []
        stream.heldBytes = 0
        streams[id] = stream
    }

    private func begin(_ session: DuckDBSession) throws {
        if inTransaction { return }
        try session.execute("BEGIN", doing: "beginning a transaction in \(options.path)")
        inTransaction = true
    }

    /// Runs `body`; when it fails, rolls back and lets every stream that lost rows know.
    private func guarded(_ body: (DuckDBSession) throws -> Void) throws {
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
        for (id, stream) in streams where stream.taken != stream.durable {
            streams[id]?.held = []
            streams[id]?.heldBytes = 0
            streams[id]?.staged = nil
            streams[id]?.lost = true
        }
    }

    // MARK: pieces

    private func opened() throws -> DuckDBSession {
        if let session { return session }
        let folder = Folder.parent(of: options.path)
        try Folder.create(folder)
        let database = try DuckDBDatabase(path: options.path, settings: options.settings, rowGroupSize: options.rowGroupSize)
        try Folder.sync(folder)
        let session = try database.connect()
        if options.compression == .fast {
            // Not among the settings for opening: there it is taken and has no effect on an attached file.
            try session.execute("SET disabled_compression_methods = 'dict_fsst,fsst,zstd'")
        }
        self.session = session
        return session
    }

    private func ready(_ id: StreamID) throws -> Stream {
        guard let stream = streams[id] else { throw unknown(id) }
        guard !stream.lost else {
            throw SluiceError(.sinkReopen, .retry, "rows of \(id) were rolled back: resume from the stored position")
        }
        return stream
    }

    private func unknown(_ id: StreamID) -> SluiceError { SluiceError(.sinkOrder, .fatal, "stream \(id) is not open") }

    private func check(_ batch: Batch, _ id: StreamID, _ stream: Stream) throws {
        if batch.chainID != id.chainID { throw SluiceError(.sinkOrder, .fatal, "a batch of chain \(batch.chainID) for stream \(id)") }
        if let taken = stream.taken, batch.span.first != taken.number + 1 || batch.span.parentHash != taken.hash {
            throw SluiceError(
                .sinkOrder, .fatal,
                "a batch of \(id) begins at block \(batch.span.first) behind \(batch.span.parentHash), but the sink holds \(taken)")
        }
        for table in batch.tables {
            guard stream.schemas.contains(table.schema) else {
                throw SluiceError(.sinkOrder, .fatal, "a batch of \(id) has a table \(table.schema.name) of another shape than was opened")
            }
            if let field = table.unexpectedNull {
                throw SluiceError(.sinkOrder, .data, "a null in \(table.schema.name).\(field), which allows none")
            }
        }
    }

    private func report(_ id: StreamID) -> Position? {
        guard let stream = streams[id], stream.durable != stream.reported else { return nil }
        streams[id]?.reported = stream.durable
        return stream.durable
    }

    private func readPosition(_ id: StreamID, _ session: DuckDBSession) throws -> Position? {
        let rows = try session.rows(
            "SELECT number, hash FROM sluice.positions WHERE stream = \(DuckDBSession.literal(id.pipeline)) AND chain_id = \(id.chainID)",
            doing: "reading the position of \(id) in \(options.path)")
        guard let row = rows.first else { return nil }
        guard rows.count == 1, let number = row[0].uint64, let hash = row[1].bytes.flatMap({ Hash32($0) }) else {
            throw SluiceError(
                .duckdbOpen, .pause, "sluice.positions in \(options.path) is damaged for stream \(id)",
                mend: "restore the file, or write to another path")
        }
        return Position(number: number, hash: hash)
    }

    private static func store(_ position: Position, of id: StreamID, _ session: DuckDBSession) throws {
        let key = "stream = \(DuckDBSession.literal(id.pipeline)) AND chain_id = \(id.chainID)"
        let hash = "unhex('\(position.hash.description.dropFirst(2))')"
        // Two statements that each do nothing when the other one applies: no index, no upsert.
        try session.execute(
            """
            UPDATE sluice.positions SET number = \(position.number), hash = \(hash) WHERE \(key);
            INSERT INTO sluice.positions SELECT \(DuckDBSession.literal(id.pipeline)), \(id.chainID), \(position.number), \(hash)
            WHERE NOT EXISTS (SELECT 1 FROM sluice.positions WHERE \(key));
            """, doing: "storing the position of \(id)")
    }
}
