import SluiceCore
import SluiceDuckDB

/// Writes one stream's files, on a thread of its own for what blocks.
actor ParquetWriter {
    /// The span whose files are open.
    struct OpenSpan {
        let first: UInt64
        /// Hash of the block before.
        let parentHash: Hash32
        var blocks: [BlockStamp]
        let day: Int64
        var jobs: [String: CopyJob] = [:]
        /// Rows that go into the files before they are published, in the place of what was written there.
        var amendments: [Amendment] = []
        var span: Span { Span(first: first, parentHash: parentHash, blocks: blocks) }
    }

    let id: StreamID
    let schemas: [Schema]
    let options: ParquetSinkOptions
    let segments: any SegmentStore
    let layout: Layout
    let place: any ParquetPlace
    let session: DuckDBSession
    /// Seconds since 1970.
    let now: @Sendable () -> Int64
    /// What is durable: the spans of all manifests.
    var durable = Coverage()
    /// The same, span by span.
    var index = SpanIndex()
    /// What is covered with the open files.
    var taken = Coverage()
    /// The last block that became durable, until the caller is told.
    var news: Position?
    nonisolated let worker: WorkerThread
    /// A connection, and so a thread, for each table.
    private let connections: [String: DuckDBConnection]
    private let room: SliceRoom
    private var cutter: SpanCutter
    var open: OpenSpan?
    var lost = false
    private var retired = false

    nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }

    init(
        _ id: StreamID, _ schemas: [Schema], _ options: ParquetSinkOptions, _ segments: any SegmentStore, _ database: DuckDBDatabase,
        _ place: any ParquetPlace, now: @escaping @Sendable () -> Int64
    ) throws {
        for schema in schemas { _ = try schema.requiredBlockNumberField() }
        self.id = id
        self.schemas = schemas
        self.options = options
        self.segments = segments
        self.now = now
        layout = Layout(directory: options.directory, chainID: id.chainID)
        self.place = place
        session = try database.connect()
        connections = try Dictionary(
            uniqueKeysWithValues: schemas.map { ($0.name, try DuckDBConnection(database, name: "pq-\($0.name)")) })
        room = SliceRoom(limit: options.queueBytes)
        cutter = SpanCutter(blocksPerFile: options.blocksPerFile)
        worker = WorkerThread(name: "parquet-sink")
    }

    deinit {
        open?.jobs.values.forEach { $0.stream.abort() }
    }

    // MARK: the stream

    /// Sets the place up as it is to be.
    func prepare() throws { try place.prepare(schemas.map(\.name), retention: options.retentionDays, session) }

    /// After a failure it also makes the stream usable again, from what the folder holds: that is the truth, because a step that
    /// failed may have been done.
    func coverage() throws -> [Segment] {
        if lost {
            if retired { try checkUsable() }
            try recover()
            lost = false
        }
        // What is in an open file was taken and must not be sent again.
        return taken.segments
    }

    func write(_ batch: Batch) async throws -> Position? {
        try checkUsable()
        try batch.requireFit(id, schemas, code: .parquetOrder)
        try taken.append(batch.span, stream: id)
        try await guarded {
            // What does not continue the open files is of another segment.
            if let open, open.span.last.number + 1 != batch.span.first { try await closeEarly() }
            for piece in cutter.cut(batch.span) {
                if piece.startsFile { try await close() }
                try await take(piece, batch)
                if piece.endsFile { try await close() }
            }
        }
        return report()
    }

    /// Files end where blocks say, so nothing can be made durable before, unless `tipBlocks` says so.
    func flush() async throws -> Position? {
        try checkUsable()
        try await guarded {
            if let tip = options.tipBlocks, let open, UInt64(open.blocks.count) >= tip { try await closeEarly() }
            try upkeep()
        }
        return report()
    }

    func finish() async throws -> Position? {
        try checkUsable()
        try await guarded { try await closeEarly() }
        return report()
    }

    func rollback(to position: Position) async throws {
        try checkUsable()
        guard let removed = taken.rollback(to: position) else { return }
        try await guarded {
            if let span = open, removed.contains(span.first) {
                await abandon()
            } else if let span = open, removed.contains(span.span.last.number) {
                try await closeEarly()
            }
            try truncate(removed, to: position)
        }
        news = nil
    }

    /// Ends the stream without its open files: another one takes its place.
    func retire() async {
        await abandon()
        lost = true
        retired = true
    }

    // MARK: files

    private func take(_ piece: SpanCutter.Piece, _ batch: Batch) async throws {
        let at = Int(piece.first - batch.span.first)...Int(piece.last - batch.span.first)
        let parent = piece.first == batch.span.first ? batch.span.parentHash : batch.span.hash(piece.first - 1)
        var span = open ?? OpenSpan(first: piece.first, parentHash: parent, blocks: [], day: piece.day)
        span.blocks += batch.span.blocks[at]
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
        return CopyJob(schema, to: layout.temporaryFile(schema.name), options, in: room, on: connection)
    }

    /// Ends the open files where the cutter has not: what comes next is in others.
    private func closeEarly() async throws {
        try await close()
        cutter.reset()
    }

    /// Ends the open files: data, then names, then the manifest, then the position.
    private func close() async throws {
        guard let span = open else { return }
        // All first: each has a row group to write yet, and they can do so at the same time.
        for job in span.jobs.values { job.end() }
        for job in span.jobs.values { try await job.ended() }
        var files: [Manifest.File] = []
        let range = (first: span.first, last: span.span.last)
        for (table, rows) in try amended(span).sorted(by: { $0.key < $1.key }) {
            let path = layout.file(table, day: span.day, range.first, range.last.number)
            let bytes = try Layout.size(layout.temporaryFile(table))
            try place.publish(layout.temporaryFile(table), as: path)
            files.append(Manifest.File(table: table, path: path, rows: rows, bytes: bytes))
        }
        try record(
            Manifest(
                stream: id, first: range.first, last: range.last, files: files, tables: schemas.map(\.name), date: Calendar.date(span.day)))
        open = nil
        try durable.append(span.span, stream: id)
        news = range.last
        try segments.save(durable.segments, of: id)
        try upkeep()
    }

    /// Writes a manifest: from now on its span is there.
    func record(_ manifest: Manifest) throws {
        try publish(manifest, as: layout.manifest(manifest.first, manifest.last.number))
        index.insert(manifest.entry)
    }

    func publish(_ manifest: Manifest, as path: String) throws {
        try place.publish(try layout.compose(manifest.json(schemas)), as: layout.relative(path))
    }

    /// Gives up the open files.
    private func abandon() async {
        cutter.reset()
        guard let span = open else { return }
        open = nil
        for job in span.jobs.values { await job.abort() }
        for table in span.jobs.keys { try? Layout.remove(layout.temporaryFile(table)) }
    }

    private func guarded(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch {
            await abandon()
            lost = true
            news = nil
            throw error
        }
    }

    // MARK: checks

    func checkUsable() throws {
        if lost { throw SluiceError(.parquetReopen, .retry, "files of \(id) were given up: resume from the stored position") }
    }

    private func report() -> Position? {
        defer { news = nil }
        return news
    }
}
