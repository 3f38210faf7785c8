import SluiceCore
import SluiceStore
import Synchronization

/// What the sinks of a pipeline hold of all parts of a source, for whoever may not ask them: a pipeline is told of as a whole.
final class PartBoard: Sendable {
    private let held = Mutex<[SourcePart: [String: [Segment]]]>([:])

    func forget(_ part: SourcePart) { held.withLock { $0[part] = nil } }

    /// Takes in what the sinks hold of one part; returns all there is to tell.
    func note(_ sinks: [String: [Segment]], of part: SourcePart) -> [String: [Segment]] {
        held.withLock { held in
            held[part] = sinks
            var all: [String: [Segment]] = [:]
            for (part, sinks) in held { for (sink, segments) in sinks { all["\(sink) \(part)"] = segments } }
            return all
        }
    }
}

/// A journal for one part.
struct PartJournal: StreamJournal {
    let journal: any StreamJournal
    let part: SourcePart
    let board: PartBoard

    func keep(_ letters: [DeadLetter], of stream: StreamID) async throws { try await journal.keep(letters, of: stream) }
    func forgetLetters(of stream: StreamID, behind position: Position) async throws {
        try await journal.forgetLetters(of: stream, behind: position)
    }
    func finalized(of stream: StreamID, sink: String) async throws -> UInt64? { try await journal.finalized(of: stream, sink: sink) }
    func setFinalized(_ number: UInt64, of stream: StreamID, sink: String) async throws {
        try await journal.setFinalized(number, of: stream, sink: sink)
    }
    func findings(of stream: StreamID, register: String, through number: UInt64) async throws -> [Finding] {
        try await journal.findings(of: stream, register: register, through: number)
    }
    func replaceFindings(_ findings: [Finding], in blocks: ClosedRange<UInt64>, of stream: StreamID, register: String) async throws {
        try await journal.replaceFindings(findings, in: blocks, of: stream, register: register)
    }
    func tell(_ held: [String: [Segment]], of pipeline: String) async throws {
        try await journal.tell(board.note(held, of: part), of: pipeline)
    }
    func wantedReplays(of stream: StreamID) async throws -> [DeadLetterRecord] { try await journal.wantedReplays(of: stream) }
    func note(_ results: [ReplayResult]) async throws { try await journal.note(results) }
}
