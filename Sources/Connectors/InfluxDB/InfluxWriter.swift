import SluiceCore

/// Writes one stream's points, on a thread of its own: encoding takes its time, and the state file blocks.
actor InfluxWriter {
    let id: StreamID
    let plans: [LineTable]
    let server: InfluxServer
    private let segments: any SegmentStore
    private let time: TimeSource
    private let encoder: LineEncoder
    private let worker = WorkerThread(name: "influxdb-sink")
    /// What is durable.
    private(set) var durable = Coverage()
    /// What is covered with what was taken since.
    private(set) var taken = Coverage()
    private var lines = LineBuffer()
    /// Rows that were taken since the position moved.
    private var rows = 0
    /// Since when the oldest line waits.
    private var since: MonotonicTime?
    /// The last block that became durable, until the caller is told.
    private var news: Position?
    /// When blocks begin that were written by this process, the latest of them.
    private(set) var recent: [UInt64: Int64] = [:]
    private var lost = false
    private var retired = false

    nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }

    init(_ id: StreamID, _ plans: [LineTable], _ server: InfluxServer, _ segments: any SegmentStore, _ time: TimeSource) {
        self.id = id
        self.plans = plans
        self.server = server
        self.segments = segments
        self.time = time
        encoder = LineEncoder(hasUnsigned: server.hasUnsigned, addsFloats: server.options.addsFloats)
    }

    // MARK: - The stream

    /// Goes on from what the state file says.
    func recover() throws {
        durable = Coverage(try segments.load(id))
        taken = durable
        (news, since, rows) = (nil, nil, 0)
        lines.removeAll()
        lost = false
        try requireSameTables()
    }

    func coverage() throws -> [Segment] {
        if lost {
            if retired { try checkUsable() }
            try recover()
        }
        return taken.segments
    }

    func write(_ batch: Batch) async throws -> Position? {
        try checkUsable()
        try batch.requireFit(id, plans.lazy.map(\.schema))
        try taken.append(batch.span, stream: id)
        try await guarded {
            for table in batch.tables where table.rowCount > 0 { try await put(table, batch.span) }
            note(batch.span)
            if since == nil { since = time.now() }
            let isOld = since.map { time.now() - $0 >= server.options.batchAge } ?? false
            rows += batch.rowCount
            if rows >= server.options.batchRows || lines.count >= server.options.batchBytes || isOld { try await settle() }
        }
        return report()
    }

    func flush() async throws -> Position? {
        try checkUsable()
        try await guarded { try await settle() }
        return report()
    }

    /// Ends the stream: another one takes its place.
    func retire() {
        lines.removeAll()
        lost = true
        retired = true
    }

    // MARK: - Pieces

    /// Makes rows lines, and sends what is a whole request.
    func put(_ table: Table, _ span: Span) async throws {
        guard let plan = plans.first(where: { $0.schema.isNamed(as: table.schema) }) else { return }
        var row = 0
        while row < table.rowCount {
            row = try encoder.encode(
                table, from: row, plan, span, into: &lines, maxLines: server.options.batchRows, maxBytes: server.options.batchBytes)
            if isFull { try await send() }
        }
    }

    private var isFull: Bool { lines.lines >= server.options.batchRows || lines.count >= server.options.batchBytes }

    /// Sends what waits, and moves the position.
    func settle() async throws {
        try await send()
        guard taken != durable else { return }
        try segments.save(taken.segments, of: id)
        durable = taken
        (since, rows) = (nil, 0)
        if let last = lastTaken { news = last }
        lastTaken = nil
    }

    /// The last block of the batch that was taken last.
    private var lastTaken: Position?

    /// Sends what waits. Rows that the server refuses are searched for: the others are stored then, and the error names the first.
    func send() async throws {
        if lines.lines == 0 { return }
        let doing = "writing \(id) to \(server.shown)"
        if let reason = try await post(0..<lines.lines, doing) {
            var refused: [(line: Int, reason: String)] = []
            try await search(0..<lines.lines, reason, doing, &refused)
            if let first = refused.first { throw refusal(first.line, first.reason, of: refused.count, doing) }
        }
        lines.removeAll()
    }

    /// How many refused rows are searched for: where there are more, an operator is needed anyhow.
    private static let searched = 16

    /// Halves what was refused until single rows are left.
    private func search(_ range: Range<Int>, _ reason: String, _ doing: String, _ refused: inout [(line: Int, reason: String)]) async throws
    {
        if refused.count >= Self.searched { return }
        if range.count == 1 { return refused.append((range.lowerBound, reason)) }
        let middle = range.lowerBound + range.count / 2
        for half in [range.lowerBound..<middle, middle..<range.upperBound] where refused.count < Self.searched {
            if let reason = try await post(half, doing) { try await search(half, reason, doing, &refused) }
        }
    }

    private func post(_ range: Range<Int>, _ doing: String) async throws -> String? {
        // Nobody else touches the lines meanwhile: the stream is called from one task at a time.
        try await server.write(lines.bytes(range), doing: doing)
    }

    private func refusal(_ line: Int, _ reason: String, of count: Int, _ doing: String) -> SluiceError {
        var place = "a row"
        if let (table, row) = lines.row(line), let plan = plans.first(where: { $0.schema.isNamed(as: table.schema) }) {
            place = "a row of \(table.schema.name) in block \(table.columns[plan.number].load(row, as: UInt64.self))"
            if let at = plan.place {
                place += " (\(table.schema.fields[at].name) \(table.columns[at].load(row, as: UInt64.self)))"
            } else {
                place += " (row \(row) of its batch)"
            }
        }
        let others = count > 1 ? ", and \(count >= Self.searched ? "at least \(count - 1)" : "\(count - 1)") more" : ""
        return SluiceError(
            .influxRow, .pause, "\(doing): the server refuses \(place)\(others): \(reason)",
            mend:
                "lengthen the retention or raise the limits of the store, or drop what holds another type there; then resume: the rows are sent again"
        )
    }

    private func note(_ span: Span) {
        lastTaken = span.last
        for index in max(0, span.count - Self.remembered)..<span.count {
            let number = span.first + UInt64(index)
            recent[number] = try? LineTable.start(of: number, at: span.block(index).timestamp)
        }
        guard recent.count > 2 * Self.remembered else { return }
        let lowest = span.last.number - UInt64(Self.remembered)
        recent = recent.filter { $0.key > lowest }
    }

    private static let remembered = 4096

    /// Takes over what is left after a rollback.
    func shorten(to coverage: Coverage, removed: ClosedRange<UInt64>) throws {
        try segments.save(coverage.segments, of: id)
        (durable, taken, news, lastTaken) = (coverage, coverage, nil, nil)
        for block in removed where recent[block] != nil { recent[block] = nil }
    }

    func guarded(_ body: () async throws -> Void) async throws {
        do { try await body() } catch {
            lines.removeAll()
            lost = true
            news = nil
            throw error
        }
    }

    // MARK: - Checks

    func checkUsable() throws {
        if lost { throw SluiceError(.influxReopen, .retry, "rows of \(id) were given up: resume from the stored position") }
    }

    /// A table that joins or leaves a stream later would have a hole that nothing shows: the segments speak of all tables. What they spoke of is
    /// kept beside them, as the hash of a block that there is not.
    private func requireSameTables() throws {
        let names = plans.map(\.schema.name).sorted().joined(separator: "\n")
        let beside = StreamID(pipeline: id.pipeline + " tables", chainID: id.chainID)
        var fingerprint = Fingerprint()
        fingerprint.add(names)
        let mark = Segment(first: 0, last: Position(number: 0, hash: Hash32(hex: "0x\(fingerprint)\(fingerprint)") ?? .zero))
        let found = try segments.load(beside)
        if durable.segments.isEmpty || found.isEmpty {
            if found != [mark] { try segments.save([mark], of: beside) }
        } else if found != [mark] {
            throw SluiceError(
                .influxSchema, .pause,
                "\(id.pipeline) asks for other tables than \(server.shown) holds of its blocks",
                mend: "give the other registers a pipeline of their own")
        }
    }

    private func report() -> Position? {
        defer { news = nil }
        return news
    }
}
