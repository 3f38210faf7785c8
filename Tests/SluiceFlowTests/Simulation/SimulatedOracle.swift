import SluiceChain
import SluiceCore
import Synchronization

/// How badly an upstream behaves, and what randomness decides it.
final class SimulatedTrouble: Sendable {
    private let state: Mutex<(random: SeededRandom, share: Double)>

    init(seed: UInt64, share: Double) { state = Mutex((SeededRandom(seed: seed), share)) }

    /// No more trouble from now on.
    func heal() { state.withLock { $0.share = 0 } }

    func happens(_ scale: Double = 1) -> Bool { state.withLock { Double.random(in: 0..<1, using: &$0.random) < $0.share * scale } }
    func pick(_ range: ClosedRange<Int>) -> Int { state.withLock { Int.random(in: range, using: &$0.random) } }
}

/// Reads a simulated chain the way the real oracle reads a real one: with the same follower, in the same steps, with an upstream that is
/// slow, fails, and lags.
struct SimulatedOracle: Oracle {
    let chain: SimulatedChain
    let memory: SimulatedMemory
    let trouble: SimulatedTrouble
    let time: TimeSource
    let observe: @Sendable (OracleEvent) -> Void
    let calls: Box<Int>

    func head() async throws -> ChainHead {
        try await ask()
        let head = ChainHead(latest: chain.head.number, finalized: chain.finalized)
        observe(.head(head))
        return head
    }

    func settle(_ position: Position, finalized: UInt64?) async throws -> Position {
        try await ask()
        guard let there = chain.block(position.number), there.ref != position else { return position }
        var follower = ChainFollower(
            position: position, finalityDepth: chain.finality, finalized: finalized,
            knownTail: try await memory.ancestors(of: position))
        var settled = position
        try await act(follower.on(.block(there.ref, parentHash: there.parent)), &follower) { settled = $0 }
        return settled
    }

    func backfill(_ range: ClosedRange<UInt64>, after position: Position?, into egress: any Egress) async throws {
        let tip = try await head()
        let before = position.flatMap { $0.number + 1 == range.lowerBound ? $0 : nil }
        var follower = ChainFollower(position: before, start: before == nil ? range.lowerBound : nil, finalityDepth: chain.finality)
        try await egress.send(.finalized(tip.finalized))
        try await tell(follower.on(event(tip)), &follower, into: egress)
        var failures = 0
        while let next = follower.next, next <= range.upperBound {
            if try await step(next...range.upperBound, &follower, finalized: tip.finalized, cutsAtTip: false, into: egress) { continue }
            failures += 1
            guard failures < 8 else { throw SluiceError(.init("block_missing"), .retry, "block \(next) does not follow") }
            try await time.sleep(.milliseconds(100))
        }
    }

    func live(from position: Position?, start: UInt64?, until: UInt64?, into egress: any Egress) async throws {
        var tip = try await head()
        var known: [BlockRef] = []
        if let position { known = try await memory.ancestors(of: position) }
        var follower = ChainFollower(
            position: position, start: position == nil ? start ?? tip.latest : start, finalityDepth: chain.finality,
            finalized: position == nil ? nil : try await memory.finalized(), knownTail: known)
        while true {
            try await tell(follower.on(event(tip)), &follower, into: egress)
            let last = min(until ?? .max, tip.latest)
            while let next = follower.next, next <= last {
                if try await !step(next...last, &follower, finalized: tip.finalized, cutsAtTip: true, into: egress) { break }
            }
            if let until, let head = follower.head, head.number >= until { return }
            try await time.sleep(.milliseconds(1000))
            tip = try await head()
        }
    }

    // MARK: - Steps

    private func event(_ tip: ChainHead) -> ChainFollower.Event {
        .head(latest: .init(number: tip.latest, hash: chain.block(tip.latest)?.ref.hash), finalized: .init(number: tip.finalized))
    }

    /// Reads up to four blocks; returns false when that got nowhere.
    private func step(
        _ wanted: ClosedRange<UInt64>, _ follower: inout ChainFollower, finalized: UInt64, cutsAtTip: Bool, into egress: any Egress
    ) async throws -> Bool {
        try await ask()
        let before = follower.head
        var accepted: [SimulatedChain.Block] = []
        var final: UInt64?
        for number in wanted.lowerBound...min(wanted.upperBound, wanted.lowerBound | 3) {
            guard let block = chain.block(number) else { break }
            let actions = follower.on(.block(block.ref, parentHash: block.parent))
            if case .accept = actions.first {
                accepted.append(block)
                for case .finalized(let number) in actions { final = number }
                if cutsAtTip, number > finalized { break }
            } else {
                try await flush(accepted, final, finalized, into: egress)
                try await tell(actions, &follower, into: egress)
                return follower.head != before
            }
        }
        try await flush(accepted, final, finalized, into: egress)
        return follower.head != before
    }

    private func flush(_ blocks: [SimulatedChain.Block], _ final: UInt64?, _ finalized: UInt64, into egress: any Egress) async throws {
        try await memory.remember(blocks.filter { $0.ref.number > finalized }.map { BlockLink(ref: $0.ref, parentHash: $0.parent) })
        if let batch = simulatedBatch(blocks) { try await egress.send(.batch(batch)) }
        guard let final else { return }
        try await egress.send(.finalized(final))
        try await memory.finalize(through: final)
    }

    private func tell(_ actions: [ChainFollower.Action], _ follower: inout ChainFollower, into egress: any Egress) async throws {
        for case .finalized(let number) in actions {
            try await egress.send(.finalized(number))
            try await memory.finalize(through: number)
        }
        var target: Position?
        try await act(actions, &follower) { target = $0 }
        if let target {
            observe(.reorganisation(depth: 1))
            try await egress.send(.rollback(to: target))
        }
    }

    private func act(_ actions: [ChainFollower.Action], _ follower: inout ChainFollower, rollback: (Position) -> Void) async throws {
        var actions = actions[...]
        while let action = actions.popFirst() {
            switch action {
            case .fetchHeader(let number, let hash):
                try await ask()
                let found = hash.map { chain.block($0) } ?? chain.block(number)
                let isKnown = found.map { chain.block($0.ref.number) == $0 || !trouble.happens() } ?? false
                actions += follower.on(
                    isKnown
                        ? found.map { .header($0.ref, parentHash: $0.parent) } ?? .headerUnavailable(number: number)
                        : .headerUnavailable(number: number))
            case .rollback(let position): rollback(position)
            case .halt(let reorg): throw reorg.error
            case .accept, .finalized, .ignore: break
            }
        }
    }

    /// One call to the upstream.
    private func ask() async throws {
        calls.change { $0 += 1 }
        if trouble.happens(2) { try await time.sleep(.milliseconds(trouble.pick(1...3000))) }
        if trouble.happens() {
            throw SluiceError(.init("simulated"), [.retry, .endpoint, .split][trouble.pick(0...2)], "the simulated upstream fails")
        }
    }
}

/// The table that the oracle makes: block `n` has `value % 3` rows.
let simulatedSchema = Schema(
    name: "values", key: ["block_hash", "log_index"], doc: "",
    fields: [
        Field("block_number", .int64, ""), Field("block_hash", .fixedBytes(32), ""), Field("log_index", .int64, ""),
        Field("value", .int64, ""),
    ])

func simulatedBatch(_ blocks: [SimulatedChain.Block]) -> Batch? {
    guard let first = blocks.first else { return nil }
    let rows = blocks.flatMap { block in (0..<Int(block.value % 3)).map { (block, $0) } }
    let table = Table(
        schema: simulatedSchema,
        columns: [
            Column.int64(rows.map { Int64($0.0.ref.number) }), Column.hashes(rows.map(\.0.ref.hash)),
            Column.int64(rows.map { Int64($0.1) }),
            Column.int64(rows.map { Int64($0.0.value) + Int64($0.1) }),
        ], rowCount: rows.count)
    return Batch(
        chainID: 1,
        span: Span(
            first: first.ref.number, parentHash: first.parent,
            blocks: blocks.map { BlockStamp(hash: $0.ref.hash, timestamp: $0.ref.number * 12) }),
        tables: [table])
}

extension Column {
    static func int64(_ values: [Int64]) -> Column {
        var builder = ColumnBuilder(.int64)
        for value in values { builder.append(value) }
        return builder.finish()
    }
    static func hashes(_ values: [Hash32]) -> Column {
        var builder = ColumnBuilder(.fixedBytes(32))
        for value in values { builder.append(value) }
        return builder.finish()
    }
}
