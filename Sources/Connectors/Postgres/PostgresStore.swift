import CPq
import SluiceCore
import SluiceFormats

/// The database and what is on its way into it, over one connection on one thread.
///
/// A transaction holds rows of one stream, and the position that they bring it to. When anything fails it is rolled back, what was taken and
/// not committed is forgotten, and the stream must ask for its position and resend from there.
actor PostgresStore {
    private struct Stream {
        let schemas: [Schema]
        /// By which this process writes: a later one has a greater.
        let epoch: Int64
        /// What is committed.
        var durable: Coverage
        /// What is covered with all that was taken.
        var taken: Coverage
        var held: [Batch] = []
        var rows = 0
        var bytes = 0
        /// The last block of the batch that was committed last, until the caller is told.
        var news: Position?
        var lost = false

        /// Holds these batches instead.
        mutating func hold(_ batches: [Batch]) {
            held = batches
            rows = batches.reduce(0) { $0 + $1.rowCount }
            bytes = batches.reduce(0) { $0 + $1.byteCount }
        }

        /// Forgets what is held.
        mutating func drop() { (held, rows, bytes) = ([], 0, 0) }
    }

    private let options: PostgresSinkOptions
    nonisolated let worker = WorkerThread(name: "postgres-sink")
    private var connection: PostgresConnection?
    private var streams: [StreamID: Stream] = [:]
    /// How tables are cut by time, as far as this server can do it.
    private(set) var series = PostgresSeries()
    /// By table, the partitions that are known to be there, by where they begin.
    var partitions: [String: Set<Int>] = [:]
    /// When old chunks were looked for last.
    var sweptAt: ContinuousClock.Instant?

    nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }

    init(_ options: PostgresSinkOptions) { self.options = options }

    // MARK: - Streams

    func open(_ id: StreamID, tables: [Schema]) throws {
        try options.requireNames()
        series = try PostgresSeries(options) { try connected() }
        let (epoch, durable) = try transaction("opening \(id)") { connection in
            let migration = PostgresMigration(
                connection: connection, stream: id, schema: options.schema, shown: options.shown, series: series, sets: options.tableSets)
            let epoch = try migration.run(tables)
            return (epoch, try read(id, connection))
        }
        streams[id] = Stream(schemas: tables, epoch: epoch, durable: durable, taken: durable)
    }

    func coverage(of id: StreamID) throws -> [Segment] {
        guard var stream = streams[id] else { throw id.isNotOpen }
        guard stream.lost else { return stream.taken.segments }
        stream.durable = try read(id, try connected())
        stream.taken = stream.durable
        stream.lost = false
        streams[id] = stream
        return stream.durable.segments
    }

    func write(_ batch: Batch, of id: StreamID) throws -> Position? {
        var stream = try ready(id)
        try batch.requireFit(id, stream.schemas)
        try stream.taken.append(batch.span, stream: id)
        stream.held.append(batch)
        stream.rows += batch.rowCount
        stream.bytes += batch.byteCount
        streams[id] = stream
        if stream.rows >= options.commitRows || stream.bytes >= options.commitBytes { try commitTaken(id) }
        return report(id)
    }

    func flush(_ id: StreamID) throws -> Position? {
        try flushTaken(id)
        return report(id)
    }

    /// Makes what was taken durable; the next report says so.
    func flushTaken(_ id: StreamID) throws {
        let stream = try ready(id)
        if stream.taken != stream.durable { try commitTaken(id) }
    }

    private func commitTaken(_ id: StreamID) throws {
        do { try commit(id) } catch let refusal as HeldRefusal { throw RowsRefused(refusal.rows) }
    }

    func rollback(_ id: StreamID, to position: Position) throws {
        var stream = try ready(id)
        let before = stream
        guard let removed = stream.taken.rollback(to: position) else { return }
        // What was not handed over yet need not be undone. A batch that begins before the position goes in first, and is cut there.
        stream.held.removeAll { removed.contains($0.span.first) }
        streams[id] = stream
        do { try commit(id, undoing: removed) } catch let refusal as HeldRefusal {
            // Nothing was undone yet: the same call comes again.
            streams[id] = before
            streams[id]?.hold(refusal.taken(from: before.held))
            throw RowsRefused(refusal.rows)
        }
        // The caller knows this position: it named it.
        streams[id]?.news = nil
    }

    func close() {
        streams = [:]
        connection = nil
    }

    // MARK: - Transactions

    /// Brings what is held of a stream, and its segments, into the database.
    private func commit(_ id: StreamID, undoing removed: ClosedRange<UInt64>? = nil) throws {
        guard let stream = streams[id] else { throw id.isNotOpen }
        do {
            try transaction("committing \(id)") { connection in
                try fence(id, stream, connection)
                var touched: [String: ClosedRange<Int>] = [:]
                for schema in stream.schemas {
                    try load(stream.held, schema, connection)
                    if isSummed(schema) { touched[schema.name] = times(of: stream.held.compactMap { $0.table(schema.name) }, schema) }
                }
                if let removed { try undo(removed, of: id, stream, connection, &touched) }
                try sum(touched, of: id, stream.schemas, connection)
                try store(stream.taken, over: stream.durable, of: id, connection)
            } settled: { connection in
                try self.read(id, connection) == stream.taken
            }
        } catch let refusal as HeldRefusal {
            streams[id]?.hold(refusal.taken(from: stream.held))
            throw refusal
        } catch {
            streams[id]?.drop()
            streams[id]?.lost = true
            throw error
        }
        try sweep(stream.schemas, try connected())
        if let last = stream.held.last { streams[id]?.news = last.span.last }
        streams[id]?.durable = stream.taken
        streams[id]?.drop()
    }

    /// Runs `body` in a transaction that is fenced; what fails undoes it, and the stream resumes from what is stored.
    func writing(_ id: StreamID, doing: String, _ body: ([Schema], PostgresConnection) throws -> Void) throws {
        let stream = try ready(id)
        do {
            try transaction(doing) { connection in
                try fence(id, stream, connection)
                try body(stream.schemas, connection)
            }
        } catch {
            if (error as? SluiceError)?.class == .retry { streams[id]?.lost = true }
            throw error
        }
    }

    /// - Parameter settled: whether the transaction happened, when the connection was lost before the server said so.
    private func transaction<R>(
        _ doing: String, _ body: (PostgresConnection) throws -> R, settled: ((PostgresConnection) throws -> Bool)? = nil
    ) throws -> R {
        let connection = try connected()
        let result: R
        do {
            try connection.execute("BEGIN", doing: doing)
            result = try body(connection)
        } catch {
            if connection.isUsable { try? connection.execute("ROLLBACK", doing: doing) }
            if !connection.isUsable { self.connection = nil }
            // Those that were made in it are gone with it.
            partitions = [:]
            throw error
        }
        do {
            try connection.execute("COMMIT", doing: doing)
        } catch {
            guard !connection.isUsable else { throw error }
            self.connection = nil
            // It may have happened all the same: what the server says now is the truth.
            guard let settled, try settled(try connected()) else { throw error }
        }
        return result
    }

    /// Makes sure that no other process has opened the stream since, and keeps one from doing so before this transaction ends.
    private func fence(_ id: StreamID, _ stream: Stream, _ connection: PostgresConnection) throws {
        let found = try connection.rows(
            "SELECT epoch FROM sluice.streams WHERE tables_in = $1 AND stream = $2 AND chain_id = $3 FOR UPDATE", key(id),
            doing: "making sure that nobody else writes \(id)"
        ).rows.first?.first?.flatMap { Int64($0) }
        guard found == stream.epoch else {
            throw SluiceError(
                .postgresFenced, .config, "another process has opened \(id) at \(options.shown): this one may not write any more",
                mend: "stop one of the two; two pipelines of one name need schemas of their own")
        }
    }

    /// Rows that are new are copied right into their table. Only where one is there already they go by way of a temporary table.
    func load(_ tables: [Table], _ schema: Schema, _ connection: PostgresConnection) throws {
        guard !tables.isEmpty else { return }
        try makePartitions(for: tables, schema, connection)
        let (doing, name) = ("loading \(schema.name)", PostgresTables.name(schema, in: options.schema))
        let columns = PostgresTables.columns(schema)
        try connection.execute("SAVEPOINT load", doing: doing)
        do {
            try copy(tables, "COPY \(name) (\(columns)) FROM STDIN (FORMAT binary)", connection, doing)
            return try connection.execute("RELEASE load", doing: doing)
        } catch let error as SluiceError where error.code == .postgresData && error.message.contains("SQLSTATE 23505") {
            try connection.execute("ROLLBACK TO load", doing: doing)
        }
        try connection.execute(
            "CREATE TEMPORARY TABLE incoming ON COMMIT DROP AS SELECT \(columns) FROM \(name) WITH NO DATA", doing: doing)
        try copy(tables, "COPY pg_temp.incoming (\(columns)) FROM STDIN (FORMAT binary)", connection, doing)
        try connection.execute(
            PostgresTables.merge(schema, in: options.schema, from: "pg_temp.incoming", cutBy: series.cut(of: schema)?.time),
            doing: doing)
        try connection.execute("DROP TABLE pg_temp.incoming; RELEASE load", doing: doing)
    }

    private func copy(_ tables: [Table], _ sql: String, _ connection: PostgresConnection, _ doing: String) throws {
        let rows = tables.reduce(0) { $0 + $1.rowCount }
        let taken = try connection.copy(sql, doing: doing) { send in
            var encoder = CopyBinary()
            do { try encoder.encode(tables, send: send) } catch let misfit as CopyBinary.Misfit {
                throw SluiceError(
                    .postgresData, .data,
                    "\(doing): row \(misfit.row) has a value for \(misfit.field) that cannot be stored: \(misfit.reason)")
            }
        }
        guard taken == rows else {
            throw SluiceError(.postgresFailed, .pause, "\(doing): the server says that it took \(taken) rows of \(rows)")
        }
    }

    private func undo(
        _ removed: ClosedRange<UInt64>, of id: StreamID, _ stream: Stream, _ connection: PostgresConnection,
        _ touched: inout [String: ClosedRange<Int>]
    ) throws {
        for schema in stream.schemas {
            let field = PostgresConnection.quoted(try schema.requiredBlockNumber())
            if let times = try times(of: removed, id, schema, field, connection) {
                touched[schema.name] =
                    touched[schema.name].map {
                        min($0.lowerBound, times.lowerBound)...max($0.upperBound, times.upperBound)
                    } ?? times
            }
            try connection.rows(
                "DELETE FROM \(PostgresTables.name(schema, in: options.schema)) WHERE chain_id = $1::numeric AND \(field) BETWEEN $2::numeric AND $3::numeric",
                ["\(id.chainID)", "\(removed.lowerBound)", "\(removed.upperBound)"], doing: "undoing rows of \(schema.name)")
        }
    }

    // MARK: - Segments

    private func key(_ id: StreamID) -> [String] { [options.schema, id.pipeline, "\(id.chainID)"] }

    private func read(_ id: StreamID, _ connection: PostgresConnection) throws -> Coverage {
        let rows = try connection.rows(
            "SELECT first, number, encode(hash, 'hex') FROM sluice.segments WHERE tables_in = $1 AND stream = $2 AND chain_id = $3 ORDER BY first",
            key(id), doing: "reading what is there of \(id)"
        ).rows
        var segments: [Segment] = []
        for row in rows {
            guard let first = row[0].flatMap({ UInt64($0) }), let number = row[1].flatMap({ UInt64($0) }),
                let hash = row[2].flatMap({ Hash32(hex: "0x" + $0) }), first <= number,
                segments.last.map({ $0.last.number < first }) ?? true
            else {
                throw SluiceError(
                    .postgresSchema, .pause, "sluice.segments at \(options.shown) is damaged for stream \(id)",
                    mend: "restore the database, or write to another schema")
            }
            segments.append(Segment(first: first, last: Position(number: number, hash: hash)))
        }
        return Coverage(segments)
    }

    /// Writes what changed: mostly the end of one segment.
    private func store(_ coverage: Coverage, over before: Coverage, of id: StreamID, _ connection: PostgresConnection) throws {
        let old = Dictionary(before.segments.map { ($0.first, $0) }, uniquingKeysWith: { first, _ in first })
        let doing = "storing how far \(id) is"
        for segment in coverage.segments where old[segment.first] != segment {
            try connection.rows(
                """
                INSERT INTO sluice.segments VALUES ($1, $2, $3, $4, $5, decode($6, 'hex'))
                ON CONFLICT (tables_in, stream, chain_id, first) DO UPDATE SET number = excluded.number, hash = excluded.hash
                """,
                key(id) + ["\(segment.first)", "\(segment.last.number)", String(segment.last.hash.description.dropFirst(2))], doing: doing)
        }
        let kept = Set(coverage.segments.map(\.first))
        for first in old.keys.sorted() where !kept.contains(first) {
            try connection.rows(
                "DELETE FROM sluice.segments WHERE tables_in = $1 AND stream = $2 AND chain_id = $3 AND first = $4", key(id) + ["\(first)"],
                doing: doing)
        }
    }

    // MARK: - Pieces

    private func connected() throws -> PostgresConnection {
        if let connection, connection.isUsable { return connection }
        let made = try PostgresConnection(options)
        connection = made
        return made
    }

    private func ready(_ id: StreamID) throws -> Stream {
        guard let stream = streams[id] else { throw id.isNotOpen }
        guard !stream.lost else {
            throw SluiceError(.postgresUnavailable, .retry, "rows of \(id) were rolled back: resume from the stored position")
        }
        return stream
    }

    /// Where it writes, for messages.
    var place: String { "\(options.schema) at \(options.shown)" }

    func name(_ schema: Schema) -> String { PostgresTables.name(schema, in: options.schema) }

    /// Makes sure that amendments are of this stream and of blocks that it has.
    func require(_ amendments: [Amendment], of id: StreamID) throws {
        let stream = try ready(id)
        for amendment in amendments {
            guard amendment.chainID == id.chainID else {
                throw SluiceError(.sinkOrder, .fatal, "rows of chain \(amendment.chainID) for stream \(id)")
            }
            try amendment.rows.requireFit(id, stream.schemas)
            try stream.taken.require(amendment.block, in: place)
        }
    }

    private func report(_ id: StreamID) -> Position? {
        defer { streams[id]?.news = nil }
        return streams[id]?.news
    }
}
