public import SluiceCore
public import SluiceStore

/// The journal in the state store.
public struct StoredJournal: StreamJournal {
    private let store: StateStore

    public init(store: StateStore) { self.store = store }

    public func keep(_ letters: [DeadLetter], of stream: StreamID) async throws { _ = try await store.keep(letters, of: stream) }

    public func forgetLetters(of stream: StreamID, behind position: Position) async throws {
        try await store.removeDeadLetters(of: stream, behind: position)
    }

    public func finalized(of stream: StreamID, sink: String) async throws -> UInt64? {
        try await store.meta(Self.key(stream, sink)).flatMap { UInt64($0) }
    }

    public func setFinalized(_ number: UInt64, of stream: StreamID, sink: String) async throws {
        try await store.setMeta(Self.key(stream, sink), String(number))
    }

    public func findings(of stream: StreamID, register: String, through number: UInt64) async throws -> [Finding] {
        try await store.findings(of: stream, register: register, through: number)
    }

    public func replaceFindings(_ findings: [Finding], in blocks: ClosedRange<UInt64>, of stream: StreamID, register: String) async throws {
        try await store.replaceFindings(findings, in: blocks, of: stream, register: register)
    }

    public func tell(_ held: [String: [Segment]], of pipeline: String) async throws {
        try await store.setCoverage(held.mapValues { $0.map { $0.first...$0.last.number } }, of: pipeline)
    }

    public func wantedReplays(of stream: StreamID) async throws -> [DeadLetterRecord] {
        let filter = DeadLetterFilter(pipeline: stream.pipeline, state: .open, isReplayWanted: true)
        // A wrong declaration can make as many letters as there may be.
        return try await store.deadLetters(filter, limit: 1000).filter { $0.stream == stream }
    }

    public func note(_ results: [ReplayResult]) async throws { try await store.note(results) }

    private static func key(_ stream: StreamID, _ sink: String) -> String { "finalized:\(stream) in \(sink)" }
}
