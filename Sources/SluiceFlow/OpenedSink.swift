import SluiceCore
import Synchronization

/// A sink that takes part in a run, with what it holds back.
///
/// Its stream is called from one task at a time. Most of the time that is the loop that takes what comes along an edge; whoever else has
/// something to do there does it between two of the loop's steps.
final class OpenedSink: Sendable {
    let name: String
    let id: StreamID
    let holdsBack: Bool
    let policy: EdgePolicy
    /// Lives longer than one phase: blocks that wait for finality in one are released in the next.
    let held = Mutex(HoldBack())
    private let stream: any SinkStream
    private let taken: Mutex<TakenBlocks>
    /// Keeps what the store refuses.
    private let refused: RefusedRows
    /// Whose turn it is to do something to the stream; nothing of that may be done elsewhere.
    let turn = Turn()

    /// - Parameters:
    ///   - segments: what the stream holds to begin with.
    ///   - recent: those blocks of it that may still be orphaned.
    init(
        name: String, id: StreamID, stream: any SinkStream, segments: [Segment], recent: [BlockRef], holdsBack: Bool, policy: EdgePolicy,
        refused: RefusedRows
    ) {
        self.refused = refused
        self.policy = policy
        self.id = id
        self.name = name
        self.stream = stream
        self.holdsBack = holdsBack
        taken = Mutex(TakenBlocks(segments, recent: recent))
    }

    /// Where the loop that feeds it runs; nil: on the pool.
    var executor: (any TaskExecutor)? { stream.executor }
    /// Bytes that may well wait for it; nil: it does not care.
    var appetite: Int? { stream.appetite }

    /// What is durable in it, as far as it has told.
    var durable: [Segment] { taken.withLock { $0.durable.segments } }

    /// The highest block that it was handed, stored or held back.
    var highest: Position? {
        let (stored, held) = (taken.withLock { $0.highest }, held.withLock { $0.segments.last?.last })
        return [stored, held].compactMap { $0 }.max { $0.number < $1.number }
    }

    /// Whether it was handed that very block.
    func holds(_ block: BlockRef) -> Bool { taken.withLock { $0.contains(block) } }

    /// Where the newest blocks begin that it was handed, stored or held back, and that follow each other.
    var begin: UInt64? {
        let (stored, held) = (taken.withLock { $0.newest }, held.withLock { $0.segments.last })
        guard let held else { return stored?.first }
        return stored.flatMap { $0.last.number + 1 == held.first ? $0.first : nil } ?? held.first
    }

    /// Runs `body` while nobody else does something to the stream.
    func inTurn<R>(_ body: () async throws -> R) async rethrows -> R { try await turn.take(body) }

    // MARK: - In turn

    /// What need not be read for it again, but for what it holds back.
    func coverage() async throws -> [Segment] { try await stream.coverage() }

    /// The newest blocks that it was handed, stored or held back.
    func segment() async throws -> Segment? {
        let stored = try await stream.coverage().last
        guard let held = held.withLock({ $0.segments.last }) else { return stored }
        if let stored, stored.last.number + 1 == held.first { return Segment(first: stored.first, last: held.last) }
        return held
    }

    /// Hands a batch over; returns how far it is durable when that has changed.
    func write(_ batch: Batch) async throws -> Position? {
        do {
            let position = try await stream.write(batch)
            taken.withLock { $0.take(batch.span) }
            return note(position)
        } catch let refusal as RowsRefused {
            // It was taken, without those.
            try await refused.keep(refusal.rows, sink: name)
            taken.withLock { $0.take(batch.span) }
            return try await flush()
        }
    }

    /// Does what is to be done without the rows that the store refuses, which are kept first. Each time some are refused there are fewer.
    private func without<R>(_ keep: ([RefusedRow]) async throws -> Void, _ body: () async throws -> R) async throws -> R {
        while true {
            do { return try await body() } catch let refusal as RowsRefused { try await keep(refusal.rows) }
        }
    }

    private func insisting<R>(_ body: () async throws -> R) async throws -> R {
        try await without({ try await refused.keep($0, sink: name) }, body)
    }

    /// Notes that nothing up to a block will ever be undone.
    func finalized(_ number: UInt64) async throws {
        taken.withLock { $0.finalize(through: number) }
        try await insisting { try await stream.finalized(number) }
    }

    func flush() async throws -> Position? { note(try await insisting { try await stream.flush() }) }

    func finish() async throws -> Position? { note(try await insisting { try await stream.finish() }) }

    /// Undoes what lies behind a position. Returns false when what was held back was all there was to undo.
    func rollback(to position: Position) async throws -> Bool {
        if holdsBack, held.withLock({ $0.rollback(to: position) }) { return false }
        // Of rows that go with the rollback nobody need hear.
        try await without({ rows in try await refused.keep(rows.filter { $0.block.number <= position.number }, sink: name) }) {
            try await stream.rollback(to: position)
        }
        taken.withLock { $0.rollback(to: position) }
        return true
    }

    /// Puts rows into blocks that it has. A block that it does not have is left alone: its rows come with it. Nor are rows put there that
    /// the store refuses.
    /// - Returns: the numbers of those blocks, and the rows that were refused.
    func amend(_ amendments: [Amendment]) async throws -> (blocks: Set<UInt64>, refused: [RefusedRow]) {
        var found: Set<UInt64> = []
        var stored: [Amendment] = []
        for amendment in amendments {
            if held.withLock({ $0.amend(amendment) }) {
                found.insert(amendment.block.number)
            } else if taken.withLock({ $0.contains(amendment.block) }) {
                stored.append(amendment)
            }
        }
        guard !stored.isEmpty else { return (found, []) }
        do {
            let refused = try await put(stored)
            return (found.union(stored.map(\.block.number)), refused)
        } catch let error as SluiceError where Self.isAbsent(error) && stored.count == 1 {
            return (found, [])
        } catch let error as SluiceError where Self.isAbsent(error) {}
        // One of them is the reason; the others are not to suffer for it.
        var refused: [RefusedRow] = []
        for amendment in stored {
            do {
                refused += try await put([amendment])
                found.insert(amendment.block.number)
            } catch let error as SluiceError where Self.isAbsent(error) {}
        }
        return (found, refused)
    }

    /// Puts rows there without those that the store refuses, which it returns. Some may be of what the stream held and stores first: those are
    /// kept as ever.
    private func put(_ amendments: [Amendment]) async throws -> [RefusedRow] {
        var (rest, own) = (amendments, [RefusedRow]())
        while true {
            do {
                try await stream.amend(rest)
                return own
            } catch let refusal as RowsRefused {
                let theirs = refusal.rows.filter { row in rest.contains { $0.brings(row) } }
                try await refused.keep(refusal.rows.filter { !theirs.contains($0) }, sink: name)
                rest = rest.map { $0.without(theirs) }
                own += theirs
            }
        }
    }

    private static func isAbsent(_ error: SluiceError) -> Bool { error.code == .blockNotHeld || error.code == .blockDiffers }

    private func note(_ position: Position?) -> Position? {
        if let position { taken.withLock { $0.settle(position) } }
        return position
    }
}
