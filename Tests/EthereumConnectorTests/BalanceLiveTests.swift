import SluiceChain
import SluiceCore
import SluiceNet
import SluiceSimulator
import SluiceTestKit
import Synchronization
import Testing

@testable import EthereumConnector

/// Balances at the head of a simulated chain.
@Suite(.timeLimit(.minutes(1))) struct BalanceLiveTests {
    /// Runs `live` beside a body, which ends it.
    private func following(_ oracle: any Oracle, start: UInt64?, into log: BalanceLog, _ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await oracle.live(from: nil, start: start, until: nil, into: log) }
            try await body()
            group.cancelAll()
            do { while try await group.next() != nil {} } catch is CancellationError {}
        }
    }

    /// Waits until the log stands at the simulator's head.
    private func caughtUp(_ log: BalanceLog, _ simulator: Simulator) async throws {
        for _ in 0..<5_000 {
            if let head = try simulator.canonical(simulator.head), head.ref == log.last { return }
            try await Task.sleep(for: .milliseconds(1))
        }
        Issue.record("stands at \(log.last?.number ?? 0), the head is \(simulator.head)")
    }

    @Test("each poll brings the balances at the newest block, and only canonical ones stay", arguments: [1, 2, 3] as [UInt64])
    func reorganisations(seed: UInt64) async throws {
        try await withSimulator(chain(seed: seed, history: 20)) { simulator, port in
            let addresses = someAddresses(25, seed: seed)
            let log = BalanceLog()
            var random = SeededRandom(seed: seed)
            var heads: [UInt64] = []
            try await following(balanceOracle([port], addresses), start: nil, into: log) {
                try await caughtUp(log, simulator)
                for _ in 0..<12 {
                    try simulator.advance(Int.random(in: 1...3, using: &random))
                    try await caughtUp(log, simulator)
                    heads.append(simulator.head)
                    let depth = Int.random(in: 1...min(8, log.state.blocks.count - 1), using: &random)
                    try simulator.reorganise(depth: depth, length: depth + Int.random(in: 0...2, using: &random))
                    heads.removeAll { $0 > simulator.head - UInt64(depth) }
                    try await caughtUp(log, simulator)
                    heads.append(simulator.head)
                }
            }
            let state = log.state
            #expect(state.violations == [] && state.letters == [] && state.rollbacks.count == 12)
            // Whatever was sampled is exact for the block that is canonical now; the newest block was sampled.
            let numbers = Array(Set(state.rows.map(\.block.number))).sorted()
            #expect(try state.rows == expectedBalances(addresses, at: numbers, of: simulator))
            #expect(numbers.last == simulator.head)
        }
    }

    @Test("several pipelines make the calls of one, each at its own blocks, and each gets its own rows")
    func together() async throws {
        try await withSimulator(chain(history: 60)) { simulator, port in
            let addresses = someAddresses(5)
            let range = simulator.head - 39...simulator.head - 4
            let wishes: [(name: String, addresses: [Address], interval: UInt64)] = [
                ("p", Array(addresses[0...2]), 10), ("q", Array(addresses[2...4]), 10), ("r", [addresses[0]], 4), ("s", [], 1),
            ]
            let needs = wishes.map { balanceNeed($0.addresses, pipeline: $0.name, interval: $0.interval) }
            let shared = EthereumRegisters.oracle(try balanceNode([port]), needs: needs, recent: MemoryBlocks())
            let all = try await logs(of: wishes.map(\.name)) { try await shared.backfill(range, after: nil, into: $0) }
            var asked: Set<BalanceLog.Row> = []
            for (wish, log) in zip(wishes, all) {
                let sampled = range.filter { ($0 + 1) % wish.interval == 0 || $0 == range.upperBound }
                let expected = try expectedBalances(wish.addresses, at: sampled, of: simulator)
                #expect(log.state.rows == expected && log.state.violations == [] && log.state.letters == [], "\(wish.name)")
                asked.formUnion(expected)
            }
            for (log, own) in zip(all, all.map(\.state.rows.count)) {
                let rows = all.reduce(0) { $0 + $1.state.rows.count }
                #expect(log.state.filtered == ["asked for by another pipeline": rows - own])
            }
            // Each address once a block, whoever asks.
            #expect(simulator.statistics.calls["eth_getBalance"] == asked.count)
        }
    }

    @Test("what one pipeline cannot go on without is left out for another")
    func ownPolicies() async throws {
        var options = chain(history: 60)
        options.rpc.stateBlocks = 16
        try await withSimulator(options) { simulator, port in
            let addresses = someAddresses(2)
            let needs = [balanceNeed(addresses, pipeline: "p"), balanceNeed(addresses, pipeline: "q", pruned: .leaveOut)]
            let shared = EthereumRegisters.oracle(try balanceNode([port]), needs: needs, recent: MemoryBlocks())
            let (strict, lenient) = (BalanceLog("p"), BalanceLog("q"))
            let range = simulator.head - 40...simulator.head
            try await shared.backfill(range, after: nil, into: lenient)
            #expect(!lenient.state.rows.isEmpty && lenient.state.letters.allSatisfy { $0.reason == "state_unavailable" })
            #expect(lenient.state.letters.count == 2 || lenient.state.letters.count == 3)
            let error = await #expect(throws: SluiceError.self) { try await shared.backfill(range, after: nil, into: strict) }
            #expect(error?.code == .stateUnavailable)
        }
    }

    /// Sends what comes to several logs, each of a pipeline.
    private func logs(of pipelines: [String], _ body: (any Egress) async throws -> Void) async throws -> [BalanceLog] {
        struct Fan: Egress {
            let logs: [BalanceLog]
            func send(_ transit: Transit) async throws { for log in logs { try await log.send(transit) } }
        }
        let logs = pipelines.map { BalanceLog($0) }
        try await body(Fan(logs: logs))
        return logs
    }

    @Test("a block that is orphaned while it is asked about is left out, and never has another block's balances", arguments: [true, false])
    func orphaned(byHash: Bool) async throws {
        var options = chain(history: 20)
        options.rpc.hasBlockHashParameters = byHash
        options.rpc.forgetsOrphans = true
        try await withSimulator(options) { simulator, port in
            let addresses = someAddresses(5)
            // Two headers say where the head is; the third is that of the block whose balances are asked for next.
            let isArmed = Mutex(true)
            let meddle: @Sendable (OracleEvent) -> Void = { event in
                guard case .received = event, simulator.statistics.calls["eth_getBlockByNumber", default: 0] > 2 else { return }
                let fires = isArmed.withLock { armed in
                    defer { armed = false }
                    return armed
                }
                if fires { try? simulator.reorganise(depth: 1, length: 2) }
            }
            let log = BalanceLog()
            let orphan = try #require(try simulator.canonical(simulator.head)).ref
            try await following(balanceOracle([port], addresses, observe: meddle), start: nil, into: log) {
                for _ in 0..<5000 where log.last?.number != orphan.number + 1 { try await Task.sleep(for: .milliseconds(1)) }
                try await caughtUp(log, simulator)
            }
            #expect(log.state.violations == [] && log.state.letters == [])
            #expect(log.state.filtered == ["orphaned": 1] && log.state.rollbacks.count == 1)
            let numbers = Array(Set(log.state.rows.map(\.block.number))).sorted()
            #expect(try log.state.rows == expectedBalances(addresses, at: numbers, of: simulator))
            #expect(numbers.last == simulator.head)
        }
    }
}
