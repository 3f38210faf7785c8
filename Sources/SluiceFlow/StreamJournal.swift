public import SluiceCore
public import SluiceStore

/// What the runtime keeps about streams, across restarts.
public protocol StreamJournal: Sendable {
    /// Keeps rows that could not be processed; they are durable when it returns. Throws `pause` when no more may be kept.
    func keep(_ letters: [DeadLetter], of stream: StreamID) async throws
    /// Forgets letters of blocks behind a position, which were orphaned.
    func forgetLetters(of stream: StreamID, behind position: Position) async throws
    /// The highest block that was final when a sink had taken everything that had been sent before that was said. Nil when nothing was.
    func finalized(of stream: StreamID, sink: String) async throws -> UInt64?
    func setFinalized(_ number: UInt64, of stream: StreamID, sink: String) async throws
    /// What a register of a stream found in blocks up to a number, in their order.
    func findings(of stream: StreamID, register: String, through number: UInt64) async throws -> [Finding]
    /// Puts what a register found in some blocks in the place of whatever it found there before; durable when it returns.
    func replaceFindings(_ findings: [Finding], in blocks: ClosedRange<UInt64>, of stream: StreamID, register: String) async throws
    /// Tells what the sinks of a pipeline hold durably, by their names: for whoever may not ask them.
    func tell(_ held: [String: [Segment]], of pipeline: String) async throws
    /// Dead letters of a stream that somebody wants replayed: the first of them.
    func wantedReplays(of stream: StreamID) async throws -> [DeadLetterRecord]
    /// Notes what came of replays, all or none; durable when it returns.
    func note(_ results: [ReplayResult]) async throws
}

/// For journals that nobody else reads or writes.
extension StreamJournal {
    public func tell(_ held: [String: [Segment]], of pipeline: String) async throws {}
    public func wantedReplays(of stream: StreamID) async throws -> [DeadLetterRecord] { [] }
    public func note(_ results: [ReplayResult]) async throws {}
}
