import SluiceCore
import SluiceFormats
import SluiceNet

/// Writes one stream's points, on a thread of its own: encoding takes its time, and the state file blocks.
actor InfluxWriter {
    let id: StreamID
    let plans: [LineTable]
    let server: InfluxServer
    private let segments: any SegmentStore
    private let time: TimeSource
    private let encoder: LineEncoder
    /// How many requests go at once.
    private var gate: RequestGate { server.gate }
    nonisolated let worker = WorkerThread(name: "influxdb-sink")
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
    /// What tiers keep of the rows.
    var sums: [InfluxSum]
    /// Whether the windows are known that were not whole when the stream was left.
    var hasResumed = false
    /// The second of the block that was taken last.
    private(set) var latest: Int64?
    /// Rows that the server does not take, or that cannot be points, until the caller is told.
    private var refused: [RefusedRow] = []
    private var lost = false
    private var retired = false

    nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }

    init(
        _ id: StreamID, _ plans: [LineTable], _ rollups: [InfluxRollup], _ server: InfluxServer, _ segments: any SegmentStore,
        _ time: TimeSource
    ) {
        self.id = id
        self.plans = plans
        sums = rollups.map { InfluxSum($0) }
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
        refused = []
        for index in sums.indices { sums[index].forget() }
        hasResumed = false
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
            try await resume()
            for table in batch.tables where table.rowCount > 0 { try await put(table, batch.span) }
            note(batch.span)
            if since == nil { since = time.now() }
            let isOld = since.map { time.now() - $0 >= server.options.batchAge } ?? false
            rows += batch.rowCount
            if rows >= server.options.batchRows * gate.current || isFull || isOld { try await settle() }
        }
        try confess()
        return report()
    }

    func flush() async throws -> Position? {
        try checkUsable()
        try await guarded { try await settle() }
        try confess()
        return report()
    }

    /// The run came to its end: windows that are not whole are summed up as they are.
    func finish() async throws -> Position? {
        let position = try await flush()
        try await guarded { try await sumUp(before: nil) }
        return position
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
        var misfits: [LineEncoder.Misfit] = []
        while row < table.rowCount {
            row = try encoder.encode(
                table, from: row, plan, span, into: &lines, maxLines: server.options.batchRows * gate.current,
                maxBytes: server.options.batchBytes * gate.current, misfits: &misfits)
            if isFull { try await send() }
        }
        refused += misfits.map { RefusedRow(table, $0.row, of: span, reason: .influxTime, message: $0.reason) }
    }

    private var isFull: Bool {
        lines.lines >= server.options.batchRows * gate.current || lines.count >= server.options.batchBytes * gate.current
    }

    /// Sends what waits, and moves the position; not while there are rows to be told of that the server refused.
    func settle() async throws {
        try await send()
        guard refused.isEmpty, taken != durable else { return }
        // Sums come before the position, too: once that has moved, nobody knows which are missing.
        try await sumUp(before: latest)
        try segments.save(taken.segments, of: id)
        durable = taken
        (since, rows) = (nil, 0)
        if let last = lastTaken { news = last }
        lastTaken = nil
    }

    /// Whether the caller knows of all rows that were refused.
    var hasConfessed: Bool { refused.isEmpty }

    /// Says which rows were refused since it was last said. All others are at the server, or wait as before.
    func confess() throws {
        if refused.isEmpty { return }
        defer { refused = [] }
        throw RowsRefused(refused)
    }

    /// The last block of the batch that was taken last.
    private var lastTaken: Position?

    /// Sends what waits, several requests at once: none depends on another's order. Rows that the server refuses are searched for and noted, the
    /// others are stored then.
    func send() async throws {
        if lines.lines == 0 { return }
        let doing = "writing \(id) to \(server.shown)"
        var failed = try await withThrowingTaskGroup(of: (Range<Int>, String?).self) { group in
            for range in lines.requests(maxLines: server.options.batchRows, maxBytes: server.options.batchBytes) {
                let (body, server) = (server.body(lines.bytes(range)), server)
                group.addTask { (range, try await server.write(body, doing: doing)) }
            }
            var failed: [(range: Range<Int>, reason: String)] = []
            for try await (range, reason) in group { if let reason { failed.append((range, reason)) } }
            return failed
        }
        failed.sort { $0.range.lowerBound < $1.range.lowerBound }
        for (range, reason) in failed { try await search(range, reason, doing) }
        lines.removeAll()
    }

    /// Halves what was refused until single rows are left.
    private func search(_ range: Range<Int>, _ reason: String, _ doing: String) async throws {
        var search = RowSearch(refused: range.count, reason: reason)
        while let part = search.next() {
            let rows = range.lowerBound + part.lowerBound..<range.lowerBound + part.upperBound
            // Nobody else touches the lines meanwhile: the stream is called from one task at a time.
            if let reason = try await server.write(server.body(lines.bytes(rows)), doing: doing) {
                search.refused(part, reason: reason)
            } else {
                search.taken()
            }
        }
        let found = lines.refused(search.found, from: range.lowerBound)
        // What is too old for the store says nothing of the row: it would be dropped for its age in any case.
        let isOld = found.contains { $0.message.contains("beyond retention policy") }
        if let first = found.first, search.isHopeless || isOld { throw refusal(first, of: found.count, search.isHopeless, doing) }
        refused += found
    }

    private func refusal(_ row: RefusedRow, of count: Int, _ isHopeless: Bool, _ doing: String) -> SluiceError {
        let others = count > 1 ? ", and \(isHopeless ? "at least " : "")\(count - 1) more" : ""
        return SluiceError(
            .influxRow, .pause,
            "\(doing): the server refuses \(row.row) of \(row.table) in block \(row.block.number)\(others): \(row.message)",
            mend:
                "lengthen the retention or raise the limits of the store, or drop what holds another type there; then resume: the rows are sent again"
        )
    }

    private func note(_ span: Span) {
        lastTaken = span.last
        let seconds = [span.block(0), span.block(span.count - 1)].map { Int64(clamping: $0.timestamp) }
        latest = seconds[1]
        for index in sums.indices { sums[index].windows.touch(min(seconds[0], seconds[1])...seconds[1]) }
        for index in max(0, span.count - Self.remembered)..<span.count {
            let number = span.first + UInt64(index)
            recent[number] = LineTable.start(of: number, at: span.block(index).timestamp)
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
