import SluiceCore
import SluiceStore
import Synchronization

@testable import SluiceFlow

/// The journal as the state store keeps it, in memory: letters survive the process.
final class SimulatedJournal: StreamJournal {
    private struct Key: Hashable {
        let stream: StreamID
        let register: String
        let row: String
        let block: BlockRef
    }

    private struct Kept {
        let id: Int64
        let letter: DeadLetter
        var tries: UInt64 = 1
        var isOpen = true
        var isWanted = false
    }

    private struct State {
        var letters: [Key: Kept] = [:]
        var last: Int64 = 0
        var finality: [String: UInt64] = [:]
        var replayed = 0
        var told: [String: [String: [Segment]]] = [:]
        var isFull = false
    }

    private let state = Mutex(State())
    private let isTraced: Bool

    init(isTraced: Bool) { self.isTraced = isTraced }

    private func trace(_ words: @autoclosure () -> String) { if isTraced { print("   ", words()) } }

    /// How many letters there ever were, and how many replays came to a good end.
    var counts: (kept: Int, replayed: Int) { state.withLock { (Int($0.last), $0.replayed) } }

    /// Blocks of letters that nobody has replayed.
    var openBlocks: [BlockRef] { state.withLock { $0.letters.values.filter(\.isOpen).map(\.letter.block) } }

    /// The open letters, in order.
    var open: [DeadLetter] { state.withLock { $0.letters.values.filter(\.isOpen).sorted { $0.id < $1.id }.map(\.letter) } }

    /// How often each of them has failed.
    var tries: [UInt64] { state.withLock { $0.letters.values.filter(\.isOpen).sorted { $0.id < $1.id }.map(\.tries) } }

    /// Whether it takes no more letters.
    var isFull: Bool {
        get { state.withLock { $0.isFull } }
        set { state.withLock { $0.isFull = newValue } }
    }

    /// What was told of a sink last.
    func told(_ pipeline: String, _ sink: String) -> [Segment]? { state.withLock { $0.told[pipeline]?[sink] } }

    /// A process begins. It asks anew what is final.
    func restart() { state.withLock { $0.finality = [:] } }

    /// Asks for a replay of all that is open.
    func wantAll() {
        state.withLock { state in
            for key in state.letters.keys where state.letters[key]?.isOpen ?? false { state.letters[key]?.isWanted = true }
        }
    }

    func keep(_ letters: [DeadLetter], of stream: StreamID) async throws {
        for letter in letters { trace("\(stream) letter \(letter.block.number) \(letter.row)") }
        try state.withLock { state in
            if state.isFull, !letters.isEmpty { throw SluiceError(.init("simulated_full"), .pause, "no more letters") }
            for letter in letters { Self.keep(letter, stream, &state) }
        }
    }

    private static func keep(_ letter: DeadLetter, _ stream: StreamID, _ state: inout State) {
        let key = Key(stream: stream, register: letter.register, row: letter.row, block: letter.block)
        guard var known = state.letters[key] else {
            state.last += 1
            state.letters[key] = Kept(id: state.last, letter: letter)
            return
        }
        known.tries += 1
        (known.isOpen, known.isWanted) = (true, false)
        state.letters[key] = known
    }

    func forgetLetters(of stream: StreamID, behind position: Position) async throws {
        trace("\(stream) letters behind \(position.number) forgotten")
        state.withLock { state in
            state.letters = state.letters.filter { key, _ in
                key.stream != stream || key.block.number < position.number || key.block == position
            }
        }
    }

    func wantedReplays(of stream: StreamID) async throws -> [DeadLetterRecord] {
        state.withLock { state in
            state.letters.filter { $0.key.stream == stream && $0.value.isOpen && $0.value.isWanted }.values.sorted { $0.id < $1.id }.map {
                DeadLetterRecord(
                    id: $0.id, stream: stream, letter: $0.letter, firstSeen: 0, lastSeen: 0, tries: $0.tries, state: .open, replayWanted: 0)
            }
        }
    }

    func note(_ results: [ReplayResult]) async throws {
        for result in results {
            trace("\(result.record.stream) letter \(result.record.letter.block.number) \(result.record.letter.row): \(result.outcome)")
        }
        state.withLock { state in
            for result in results {
                if let failure = result.failure {
                    Self.keep(failure, result.record.stream, &state)
                    continue
                }
                guard let key = state.letters.first(where: { $0.value.id == result.record.id })?.key, state.letters[key]?.isOpen ?? false,
                    state.letters[key]?.tries == result.record.tries
                else { continue }
                state.letters[key]?.isWanted = false
                guard result.outcome.isDone else { continue }
                state.letters[key]?.isOpen = false
                state.replayed += 1
            }
        }
    }

    func tell(_ held: [String: [Segment]], of pipeline: String) async throws { state.withLock { $0.told[pipeline] = held } }

    func finalized(of stream: StreamID, sink: String) async throws -> UInt64? { state.withLock { $0.finality["\(stream) \(sink)"] } }
    func setFinalized(_ number: UInt64, of stream: StreamID, sink: String) async throws {
        state.withLock { $0.finality["\(stream) \(sink)"] = number }
    }

    func findings(of stream: StreamID, register: String, through number: UInt64) async throws -> [Finding] { [] }
    func replaceFindings(_ findings: [Finding], in blocks: ClosedRange<UInt64>, of stream: StreamID, register: String) async throws {}
}
