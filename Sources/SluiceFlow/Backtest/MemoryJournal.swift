public import SluiceCore
import Synchronization

/// A journal for a reading that leaves no trace. Dead letters are counted, and the first of them kept for a report.
public final class MemoryJournal: StreamJournal {
    /// What makes two letters the same one: a block that is read again makes its letters again.
    private struct Key: Hashable {
        let register: String
        let row: String
        let block: BlockRef
        let reason: String
    }

    private struct State {
        var keys: Set<Key> = []
        var letters: [DeadLetter] = []
        var finalized: [String: UInt64] = [:]
        var findings: [String: [Finding]] = [:]
    }

    private let state = Mutex(State())
    private let limit: Int

    /// - Parameter limit: letters that are kept whole; the others are counted.
    public init(limit: Int = 1000) { self.limit = limit }

    /// The first letters, as they came.
    public var letters: [DeadLetter] { state.withLock { $0.letters } }

    /// How many there are of each reason.
    public var counts: [String: Int] { state.withLock { $0.keys.reduce(into: [:]) { $0[$1.reason, default: 0] += 1 } } }

    public func keep(_ letters: [DeadLetter], of stream: StreamID) async throws {
        state.withLock { state in
            for letter in letters {
                let key = Key(register: letter.register, row: letter.row, block: letter.block, reason: letter.reason)
                if state.keys.insert(key).inserted, state.letters.count < limit { state.letters.append(letter) }
            }
        }
    }

    public func forgetLetters(of stream: StreamID, behind position: Position) async throws {
        state.withLock { state in
            state.keys = state.keys.filter { $0.block.number <= position.number }
            state.letters.removeAll { $0.block.number > position.number }
        }
    }

    public func finalized(of stream: StreamID, sink: String) async throws -> UInt64? {
        state.withLock { $0.finalized["\(stream) in \(sink)"] }
    }

    public func setFinalized(_ number: UInt64, of stream: StreamID, sink: String) async throws {
        state.withLock { $0.finalized["\(stream) in \(sink)"] = number }
    }

    public func findings(of stream: StreamID, register: String, through number: UInt64) async throws -> [Finding] {
        state.withLock { $0.findings["\(stream) \(register)", default: []].filter { $0.block.number <= number } }
    }

    public func replaceFindings(
        _ findings: [Finding], in blocks: ClosedRange<UInt64>, of stream: StreamID, register: String
    ) async throws {
        state.withLock { state in
            let kept = state.findings["\(stream) \(register)", default: []].filter { !blocks.contains($0.block.number) }
            state.findings["\(stream) \(register)"] = (kept + findings).sorted { $0.block.number < $1.block.number }
        }
    }
}
