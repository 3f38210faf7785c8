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
    private let key = EthereumRegisters.accountBalanceKey.key(of: "p")

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
            let addresses = someAddresses(25)
            let log = BalanceLog()
            var random = SeededRandom(seed: seed)
            var heads: [UInt64] = []
            try await following(balanceOracle([port], addressSet(addresses)), start: nil, into: log) {
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

    @Test("addresses that are added and removed count from the next block on; without any, positions move and nothing is asked")
    func changingSet() async throws {
        try await withSimulator(chain(history: 20)) { simulator, port in
            let addresses = someAddresses(3)
            let state = MemoryState()
            let log = BalanceLog()
            var expected: [BalanceLog.Row] = []
            func step(_ simulator: Simulator, _ present: [Address], _ expected: inout [BalanceLog.Row]) async throws {
                try await state.set(present.map(\.description), of: key)
                try simulator.advance(1)
                try await caughtUp(log, simulator)
                expected += try expectedBalances(present, at: [simulator.head], of: simulator)
                #expect(log.state.rows == expected)
            }
            try await following(balanceOracle([port], state, interval: 1000), start: nil, into: log) {
                try await caughtUp(log, simulator)
                try await step(simulator, [], &expected)
                #expect(simulator.statistics.calls["eth_getBalance"] == nil)
                try await step(simulator, [addresses[0], addresses[2]], &expected)
                try await step(simulator, addresses, &expected)
                try await step(simulator, [addresses[1]], &expected)
                try await step(simulator, [], &expected)
            }
            #expect(log.state.violations == [])
        }
    }

    @Test("several sets are joined, and their keys are asked for at every sample")
    func joinedSets() async throws {
        try await withSimulator(chain(history: 20)) { simulator, port in
            let addresses = someAddresses(3)
            let state = MemoryState()
            let pipelines = Mutex(["a"])
            for (pipeline, part) in [("a", [addresses[0], addresses[1]]), ("b", [addresses[1], addresses[2]])] {
                try await state.insert(part.map(\.description), into: EthereumRegisters.accountBalanceKey.key(of: pipeline))
            }
            let source = BalanceSource(state) { pipelines.withLock { $0.map(EthereumRegisters.accountBalanceKey.key(of:)) } }
            #expect(Set(try await source.addresses().valid) == Set(addresses.prefix(2)))
            pipelines.withLock { $0 = ["a", "b"] }
            #expect(Set(try await source.addresses().valid) == Set(addresses))
            #expect(try await source.addresses().valid.count == 3)
        }
    }

    /// Shared state that lets something happen when it is read.
    private struct Meddling: SharedState {
        let base: MemoryState
        let meddle: @Sendable () throws -> Void

        func snapshot(of key: StateKey) async throws -> StateSnapshot {
            try meddle()
            return try await base.snapshot(of: key)
        }
        func version(of key: StateKey) async throws -> UInt64 { try await base.version(of: key) }
        func keys(of pipeline: String) async throws -> [StateKey] { try await base.keys(of: pipeline) }
        func apply(_ change: StateChange) async throws { try await base.apply(change) }
    }

    @Test("a block that is orphaned while it is asked about is left out, and never has another block's balances", arguments: [true, false])
    func orphaned(byHash: Bool) async throws {
        var options = chain(history: 20)
        options.rpc.hasBlockHashParameters = byHash
        options.rpc.forgetsOrphans = true
        try await withSimulator(options) { simulator, port in
            let addresses = someAddresses(5)
            let armed = Mutex(1)
            let base = try await addressSet(addresses)
            let state = Meddling(base: base) {
                let fires = armed.withLock { left in
                    left -= 1
                    return left == 0
                }
                if fires { try simulator.reorganise(depth: 1, length: 2) }
            }
            let log = BalanceLog()
            let orphan = try #require(try simulator.canonical(simulator.head)).ref
            try await following(balanceOracle([port], state), start: nil, into: log) {
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
