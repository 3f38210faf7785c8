import SluiceCore
import SluiceDuckDB

/// Writes one stream's files, on a thread of its own for what blocks.
actor ParquetWriter {
    /// The span whose files are open.
    private struct OpenSpan {
        let first: UInt64
        var last: Position
        var day: Int64?
        var jobs: [String: CopyJob] = [:]
    }

    let id: StreamID
    let schemas: [Schema]
    let options: ParquetSinkOptions
    let positions: any PositionStore
    let layout: Layout
    let session: DuckDBSession
    /// What is durable: the end of the last manifest.
    var durable: Position?
    private let worker: WorkerThread
    /// A connection, and so a thread, for each table.
    private let connections: [String: DuckDBConnection]
    private var cutter: SpanCutter
    private var open: OpenSpan?
    private var lost = false
    private var reported: Position?

    nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }

    init(
        _ id: StreamID, _ schemas: [Schema], _ options: ParquetSinkOptions, _ positions: any PositionStore, _ database: DuckDBDatabase
    ) throws {
        for schema in schemas { _ = try schema.requiredBlockNumberField() }
        self.id = id
        self.schemas = schemas
        self.options = options
        self.positions = positions
        layout = Layout(directory: options.directory, chainID: id.chainID)
        session = try database.connect()
        connections = try Dictionary(
            uniqueKeysWithValues: schemas.map { ($0.name, try DuckDBConnection(database, name: "pq-\($0.name)")) })
        cutter = SpanCutter(blocksPerFile: options.blocksPerFile)
        worker = WorkerThread(name: "parquet-sink")
    }

    deinit {
        open?.jobs.values.forEach { $0.stream.abort() }
        worker.stop()
    }

    // MARK: the stream

    /// After a failure it also makes the stream usable again, from that position.
    func position() -> Position? {
        lost = false
        reported = durable
        return durable
    }

    func write(_ batch: Batch) async throws -> Position? {
        try check(batch)
        let facts = try BlockFacts(batch)
        try await guarded {
            for piece in cutter.cut(first: batch.span.first, days: facts.days) {
                if piece.startsFile { try await close() }
                try await take(piece, batch, facts)
                if piece.endsFile { try await close() }
            }
        }
        return report()
    }

    /// Files end where blocks say, so nothing can be made durable before.
    func flush() -> Position? {
        reported = durable
        return durable
    }

    func finish() async throws -> Position? {
        try checkUsable()
        try await guarded { try await close() }
        reported = durable
        return durable
    }

    func rollback(to position: Position) async throws {
        try checkUsable()
        if let taken = open?.last ?? durable, taken.number < position.number {
            throw SluiceError(.parquetOrder, .fatal, "rolling back \(id) to \(position), though only \(taken) was taken")
        }
        try await guarded {
            if let span = open, span.first > position.number {
                await abandon()
            } else {
                try await close()
            }
            try truncate(to: position)
        }
        reported = durable
    }

    /// Ends the stream without its open files: another one takes its place.
    func retire() async {
        await abandon()
        lost = true
    }

    // MARK: files

    private func take(_ piece: SpanCutter.Piece, _ batch: Batch, _ facts: BlockFacts) async throws {
        guard let hash = facts.hash(piece.last) else {
            throw SluiceError(
                .parquetOrder, .config, "a file of \(id) ends at block \(piece.last), whose hash no table of the batch says",
                mend: "let the pipeline carry the blocks table, or batches end where files do")
        }
        let last = Position(number: piece.last, hash: hash)
        var span = open ?? OpenSpan(first: piece.first, last: last)
        span.last = last
        span.day = span.day ?? piece.day
        open = span
        for table in batch.tables {
            let slice = table.slice(piece.first, piece.last)
            if slice.rows.isEmpty { continue }
            let name = table.schema.name
            var job = try span.jobs[name] ?? start(table.schema)
            // Known before it is awaited, so that a failure finds every job that runs.
            open?.jobs[name] = job
            try await job.push(slice)
            open?.jobs[name] = job
        }
    }

    private func start(_ schema: Schema) throws -> CopyJob {
        guard let connection = connections[schema.name] else {
            throw SluiceError(.parquetOrder, .fatal, "table \(schema.name) was not opened")
        }
        try Folder.create(layout.temporary)
        return CopyJob(schema, to: layout.temporaryFile(schema.name), options, on: connection)
    }

    /// Ends the open files: data, then names, then the manifest, then the position.
    private func close() async throws {
        guard let span = open else { return }
        for job in span.jobs.values { try await job.finish() }
        var files: [Manifest.File] = []
        for (table, job) in span.jobs.sorted(by: { $0.key < $1.key }) {
            guard let day = span.day else {
                throw SluiceError(
                    .parquetOrder, .config, "no row of blocks \(span.first) to \(span.last.number) of \(id) says its time",
                    mend: "carry a block_timestamp, or a timestamp in the blocks table")
            }
            let path = layout.file(table, day: day, span.first, span.last.number)
            let bytes = try Layout.size(layout.temporaryFile(table))
            try Layout.publish(layout.temporaryFile(table), as: "\(options.directory)/\(path)")
            files.append(Manifest.File(table: table, path: path, rows: job.rows, bytes: bytes))
        }
        try record(Manifest(stream: id, first: span.first, last: span.last, files: files))
        open = nil
        cutter.reset()
        try positions.save(id, span.last)
    }

    /// Writes a manifest: from now on its span is there.
    func record(_ manifest: Manifest) throws {
        try layout.publish(text: manifest.json(schemas), as: layout.manifest(manifest.first, manifest.last.number))
        durable = manifest.last
    }

    /// Gives up the open files.
    private func abandon() async {
        guard let span = open else { return }
        open = nil
        cutter.reset()
        for job in span.jobs.values { await job.abort() }
        for table in span.jobs.keys { try? Layout.remove(layout.temporaryFile(table)) }
    }

    private func guarded(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch {
            await abandon()
            lost = true
            throw error
        }
    }

    // MARK: checks

    private func checkUsable() throws {
        if lost { throw SluiceError(.parquetReopen, .retry, "files of \(id) were given up: resume from the stored position") }
    }

    private func check(_ batch: Batch) throws {
        try checkUsable()
        if batch.chainID != id.chainID { throw SluiceError(.parquetOrder, .fatal, "a batch of chain \(batch.chainID) for stream \(id)") }
        if let taken = open?.last ?? durable, batch.span.first != taken.number + 1 || batch.span.parentHash != taken.hash {
            throw SluiceError(
                .parquetOrder, .fatal,
                "a batch of \(id) begins at block \(batch.span.first) behind \(batch.span.parentHash), but the sink holds \(taken)")
        }
        for table in batch.tables {
            guard schemas.contains(table.schema) else {
                throw SluiceError(
                    .parquetOrder, .fatal, "a batch of \(id) has a table \(table.schema.name) of another shape than was opened")
            }
            if let field = table.unexpectedNull {
                throw SluiceError(.parquetOrder, .data, "a null in \(table.schema.name).\(field), which allows none")
            }
        }
    }

    private func report() -> Position? {
        guard durable != reported else { return nil }
        reported = durable
        return durable
    }
}
