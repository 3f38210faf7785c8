public import SluiceCore
public import SluiceStore

/// What a replay of dead letters needs of the runtime.
public protocol DeadLetterReplay: Sendable {
    /// Reads one block once more through the pipeline's oracle and pipes, into memory: nothing is loaded, no position moves.
    func read(_ number: UInt64) async throws -> ReplayedBlock
    /// Loads rows of a block that the sinks hold already into each of them, without moving their positions. After a crash the same rows may
    /// come again: a sink must know them by their key.
    func load(_ tables: [Table], of block: BlockRef) async throws
}

/// A block as the pipeline makes it now.
public struct ReplayedBlock: Sendable {
    /// What all registers of the pipeline made, of this one block.
    public let batch: Batch
    /// The rows that failed, as ever or anew.
    public let deadLetters: [DeadLetter]
    /// The names of the tables that each register makes, by the register's name.
    public let tables: [String: [String]]

    public init(batch: Batch, deadLetters: [DeadLetter], tables: [String: [String]]) {
        self.batch = batch
        self.deadLetters = deadLetters
        self.tables = tables
    }
}

/// What came of the replay of one dead letter.
public enum ReplayOutcome: Sendable, Hashable {
    /// The row was processed, and what it made is in every sink: so many rows, none when it is left out on purpose by now.
    case loaded(rows: Int)
    /// It failed again, with this reason and message.
    case failed(reason: String, message: String)
    /// The block is not on the chain any more.
    case orphaned
    /// The pipeline does not make the register any more, or nobody can tell which rows come from the letter's.
    case impossible(String)
}

/// Replays dead letters of one pipeline: reads each block once, loads exactly the rows that were missing, and notes it in the store.
public struct DeadLetterReplayer: Sendable {
    private let store: StateStore
    private let stream: StreamID
    private let runtime: any DeadLetterReplay

    public init(store: StateStore, stream: StreamID, runtime: any DeadLetterReplay) {
        self.store = store
        self.stream = stream
        self.runtime = runtime
    }

    /// What came of each of the letters, by its id. What is done when an error ends it stays done.
    /// - Throws: what the runtime or the store throws.
    public func replay(_ records: [DeadLetterRecord]) async throws -> [Int64: ReplayOutcome] {
        var outcomes: [Int64: ReplayOutcome] = [:]
        let open = records.filter { $0.state == .open && $0.stream == stream }
        for (number, group) in Dictionary(grouping: open, by: \.letter.block.number).sorted(by: { $0.key < $1.key }) {
            let block = try await runtime.read(number)
            for record in group.sorted(by: { $0.id < $1.id }) {
                switch Self.plan(record.letter, block) {
                case .load(let tables):
                    // The rows first: when the note is lost, they come again and are known by their key; the other way round they would be missing.
                    if !tables.isEmpty { try await runtime.load(tables, of: record.letter.block) }
                    try await store.noteReplayed([record.id])
                    outcomes[record.id] = .loaded(rows: tables.reduce(0) { $0 + $1.rowCount })
                case .fails(let again):
                    try await store.keep([again], of: stream)
                    outcomes[record.id] = .failed(reason: again.reason, message: again.message)
                case .useless(let outcome):
                    // It stays open for the operator to drop, but nobody tries again unasked.
                    try await store.noteTried([record.id])
                    outcomes[record.id] = outcome
                }
            }
        }
        return outcomes
    }

    private enum Plan {
        case load([Table])
        case fails(DeadLetter)
        case useless(ReplayOutcome)
    }

    private static func plan(_ letter: DeadLetter, _ block: ReplayedBlock) -> Plan {
        guard block.batch.span.last == letter.block else { return .useless(.orphaned) }
        if let again = block.deadLetters.first(where: { $0.register == letter.register && $0.row == letter.row }) { return .fails(again) }
        guard let tables = block.tables[letter.register] else {
            return .useless(.impossible("the pipeline does not make \(letter.register) any more"))
        }
        do { return .load(try DeadLetterRows.rowsToLoad(letter, block.batch, tables: tables)) } catch {
            return .useless(.impossible(error.description))
        }
    }
}
