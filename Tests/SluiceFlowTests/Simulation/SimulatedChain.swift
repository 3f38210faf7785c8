import SluiceCore
import Synchronization

/// A tree of made-up blocks with one branch that counts.
final class SimulatedChain: Sendable {
    struct Block: Hashable, Sendable {
        let ref: BlockRef
        let parent: Hash32
        /// What the rows are made of.
        let value: UInt64
    }

    private struct State {
        var blocks: [Hash32: Block] = [:]
        var canonical: [BlockRef] = []
        var finalized: UInt64 = 0
        var made: UInt64 = 0
    }

    private let state: Mutex<State>
    let finality: UInt64

    /// Blocks 0 ... head.
    init(head: UInt64, finality: UInt64) {
        self.finality = finality
        state = Mutex(State())
        extend(by: head + 1)
    }

    var canonical: [Block] { state.withLock { state in state.canonical.compactMap { state.blocks[$0.hash] } } }
    var head: BlockRef { state.withLock { $0.canonical[$0.canonical.count - 1] } }
    var finalized: UInt64 { state.withLock { $0.finalized } }

    func extend(by count: UInt64) { state.withLock { for _ in 0..<count { Self.append(&$0, finality) } } }

    /// Replaces the newest `depth` blocks by `count` others. What is final stays.
    func reorganise(depth: UInt64, by count: UInt64) {
        state.withLock { state in
            let head = UInt64(state.canonical.count - 1)
            state.canonical.removeLast(Int(min(depth, head - state.finalized)))
            for _ in 0..<count { Self.append(&state, finality) }
        }
    }

    /// Lets a branch that was left count again, when it holds all that is final. Returns false when there is none.
    func returnToOldBranch(_ random: inout SeededRandom) -> Bool {
        state.withLock { state in
            let canonical = Set(state.canonical)
            let orphans = state.blocks.values.map(\.ref).filter { !canonical.contains($0) }.sorted {
                ($0.number, $0.hash) < ($1.number, $1.hash)
            }
            guard let tip = orphans.randomElement(using: &random) else { return false }
            var branch: [BlockRef] = []
            var next: Block? = state.blocks[tip.hash]
            while let block = next, block.ref.number >= state.canonical.count || state.canonical[Int(block.ref.number)] != block.ref {
                branch.append(block.ref)
                next = state.blocks[block.parent]
            }
            guard let ancestor = next?.ref, ancestor.number >= state.finalized else { return false }
            state.canonical.removeLast(state.canonical.count - 1 - Int(ancestor.number))
            state.canonical += branch.reversed()
            Self.finalize(&state, finality)
            return true
        }
    }

    func block(_ number: UInt64) -> Block? {
        state.withLock { state in number < state.canonical.count ? state.blocks[state.canonical[Int(number)].hash] : nil }
    }

    func block(_ hash: Hash32) -> Block? { state.withLock { $0.blocks[hash] } }

    private static func append(_ state: inout State, _ finality: UInt64) {
        state.made += 1
        var bytes = [UInt8](repeating: 0, count: 32)
        withUnsafeBytes(of: state.made.bigEndian) { for (index, byte) in $0.enumerated() { bytes[index + 24] = byte } }
        let hash = Hash32(bytes) ?? .zero
        let ref = BlockRef(number: UInt64(state.canonical.count), hash: hash)
        state.blocks[hash] = Block(ref: ref, parent: state.canonical.last?.hash ?? .zero, value: state.made &* 2_654_435_761 % 1000)
        state.canonical.append(ref)
        finalize(&state, finality)
    }

    private static func finalize(_ state: inout State, _ finality: UInt64) {
        let head = UInt64(state.canonical.count - 1)
        state.finalized = max(state.finalized, head - min(head, finality))
    }
}

/// Remembers blocks as the state store does.
final class SimulatedMemory: RecentBlocks {
    private struct State {
        var links: [BlockRef: Hash32] = [:]
        var finalized: UInt64?
    }
    private let state = Mutex(State())

    func ancestors(of position: Position) async throws -> [BlockRef] {
        state.withLock { state in
            var found: [BlockRef] = []
            var next: BlockRef? = state.links[position] == nil ? nil : position
            while let block = next {
                found.insert(block, at: 0)
                next = state.links[block].flatMap { parent in
                    block.number == 0 ? nil : BlockRef(number: block.number - 1, hash: parent)
                }.flatMap { state.links[$0] == nil ? nil : $0 }
            }
            return found
        }
    }
    func remember(_ links: [BlockLink]) async throws {
        state.withLock { state in for link in links { state.links[link.ref] = link.parentHash } }
    }
    func finalized() async throws -> UInt64? { state.withLock { $0.finalized } }
    func finalize(through number: UInt64) async throws {
        state.withLock { state in
            state.finalized = max(state.finalized ?? 0, number)
            state.links = state.links.filter { $0.key.number >= number }
        }
    }
}
