public import SluiceCore

/// What came of the replay of one dead letter.
public enum ReplayOutcome: Sendable, Hashable {
    /// The row was processed, and what it made is in every sink that holds its block: so many rows, none when it is left out on purpose
    /// by now.
    case loaded(rows: Int)
    /// The row can be processed, but no sink holds its block: its rows come with the block when that is read.
    case awaited
    /// It failed again, with this reason and message.
    case failed(reason: String, message: String)
    /// The block is not on the chain any more.
    case orphaned
    /// The pipeline does not make the register any more, or nobody can tell which rows come from the letter's.
    case impossible(String)

    /// Whether nothing is left to be done about the letter.
    public var isDone: Bool {
        switch self {
        case .loaded, .awaited: true
        case .failed, .orphaned, .impossible: false
        }
    }

    /// In one word, as it is stored and shown.
    public var name: String {
        switch self {
        case .loaded: "loaded"
        case .awaited: "awaited"
        case .failed: "failed"
        case .orphaned: "orphaned"
        case .impossible: "impossible"
        }
    }

    /// How many rows were loaded.
    public var rows: Int? { if case .loaded(let rows) = self { rows } else { nil } }

    /// The stable code of a failure.
    public var reason: String? { if case .failed(let reason, _) = self { reason } else { nil } }

    /// Why nothing came of it; nil when the name says all.
    public var message: String? {
        switch self {
        case .failed(_, let message): message
        case .impossible(let words): words
        case .loaded, .awaited, .orphaned: nil
        }
    }

    /// From what was stored; nil when it is something else.
    init?(name: String, rows: Int?, reason: String?, message: String?) {
        switch name {
        case "loaded": self = .loaded(rows: rows ?? 0)
        case "awaited": self = .awaited
        case "failed": self = .failed(reason: reason ?? "", message: message ?? "")
        case "orphaned": self = .orphaned
        case "impossible": self = .impossible(message ?? "")
        default: return nil
        }
    }
}

/// The replay of one dead letter, to be noted.
public struct ReplayResult: Sendable {
    /// The letter as it was when the replay began.
    public let record: DeadLetterRecord
    public let outcome: ReplayOutcome
    /// How the row failed, when it failed again.
    public let failure: DeadLetter?

    public init(_ record: DeadLetterRecord, _ outcome: ReplayOutcome, failure: DeadLetter? = nil) {
        self.record = record
        self.outcome = outcome
        self.failure = failure
    }
}
