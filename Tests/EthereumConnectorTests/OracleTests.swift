import SluiceChain
import SluiceCore
import SluiceNet
import SluiceSimulator
import SluiceTestKit
import Testing

@testable import EthereumConnector

/// The oracle against a simulator over real HTTP.
@Suite(.timeLimit(.minutes(1))) struct OracleTests {
    /// Reads a range; it must come whole, in order, and equal what the simulator has.
    private func backfill(
        _ options: SimulatorOptions, registers: [String] = ["geth_block"], maxBatch: Int = 20,
        _ check: (SimulatorStatistics) -> Void = { _ in }
    ) async throws {
        try await withSimulator(options) { simulator, port in
            let range = simulator.head - 17...simulator.head
            let egress = MemoryEgress(registers)
            var tries = 0
            while egress.last.map({ $0.number < range.upperBound }) ?? true {
                tries += 1
                try #require(tries < 20)
                let from = egress.last.map { $0.number + 1 } ?? range.lowerBound
                // A pipeline does the same: an upstream that gives up for now is asked again from where it ended.
                do {
                    try await oracle([port], registers: registers, maxBatch: maxBatch).backfill(
                        from...range.upperBound, after: egress.last, into: egress)
                } catch let error as SluiceError where error.class == .retry {}
            }
            let state = egress.state
            #expect(state.violations == [])
            #expect(try await state.blocks == expected(range, of: simulator, registers))
            #expect(state.blocks.contains { !$0.rows.isEmpty })
            check(simulator.statistics)
        }
    }

    @Test("a range comes whole and exact", arguments: [1, 2, 7, 100])
    func range(maxBatch: Int) async throws { try await backfill(chain(), maxBatch: maxBatch) }

    @Test("headers alone serve blocks and withdrawals")
    func headers() async throws {
        try await backfill(chain(), registers: ["blocks", "withdrawals"]) {
            #expect($0.calls["eth_getBlockReceipts"] == nil && $0.calls["eth_getLogs"] == nil)
        }
    }

    @Test("a node without batches is asked call by call", arguments: ["geth_block", "erc20_transfers", "blocks"])
    func noBatches(register: String) async throws {
        var options = chain()
        options.rpc.hasBatches = false
        try await backfill(options, registers: [register])
    }

    @Test("a node that takes small batches gets small batches", arguments: ["geth_block", "blocks"])
    func smallBatches(register: String) async throws {
        var options = chain()
        options.rpc.maxBatch = 3
        try await backfill(options, registers: [register])
    }

    @Test("without eth_getBlockReceipts receipts are asked for one by one", arguments: [true, false])
    func noBlockReceipts(hasBatches: Bool) async throws {
        var options = chain()
        options.rpc.disabledMethods = ["eth_getBlockReceipts"]
        options.rpc.hasBatches = hasBatches
        try await backfill(options) { #expect($0.calls["eth_getTransactionReceipt", default: 0] > 18) }
    }

    @Test("logs alone come by eth_getLogs, in parts as small as the node wants", arguments: [10_000, 40])
    func logs(most: Int) async throws {
        var options = chain()
        options.rpc.maxLogResults = most
        for registers in [["logs"], ["erc20_transfers", "erc1155_transfers"], ["blocks", "erc721_transfers"]] {
            try await backfill(options, registers: registers) {
                #expect($0.calls["eth_getLogs", default: 0] > 0 && $0.calls["eth_getBlockReceipts"] == nil)
            }
        }
    }

    @Test("a node without the tag finalized is followed by depth")
    func noTags() async throws {
        var options = chain()
        options.rpc.hasFinalityTags = false
        try await withSimulator(options) { simulator, port in
            let head = try await oracle([port], finalityDepth: 5).head()
            #expect(head == ChainHead(latest: simulator.head, finalized: simulator.head - 5))
        }
        try await withSimulator(chain()) { simulator, port in
            let head = try await oracle([port], finalityDepth: 5).head()
            #expect(head == ChainHead(latest: simulator.head, finalized: simulator.finalized))
        }
    }

    @Test("a wrong chain is refused")
    func wrongChain() async throws {
        try await withSimulator(chain { $0.chainID = 5 }) { _, port in
            let error = await #expect(throws: SluiceError.self) { _ = try await oracle([port]).head() }
            #expect(error?.code == .wrongChain && error?.class == .config)
            #expect(error?.message.contains("chain 5, not 1") == true)
        }
    }

    @Test("an endpoint that is down, or serves another chain, does not hold up another", arguments: [true, false])
    func oneIsDown(wrong: Bool) async throws {
        try await withSimulator(chain()) { simulator, port in
            try await withSimulator(chain { $0.chainID = 5 }) { other, otherPort in
                if !wrong { await other.stop() }
                let egress = MemoryEgress()
                let range = simulator.head - 9...simulator.head
                try await oracle([otherPort, port]).backfill(range, after: nil, into: egress)
                #expect(try await egress.state.blocks == expected(range, of: simulator))
            }
        }
    }

    private static let kinds = FaultKind.allCases.filter { $0 != .wrongChainID }

    @Test("a fifth of the requests fail, and all is complete and exact", arguments: kinds)
    func faults(kind: FaultKind) async throws {
        var options = chain()
        options.faults.rates = [kind: 0.2]
        options.faults.retryAfterSeconds = 0
        options.faults.trickleInterval = .milliseconds(1)
        try await backfill(options)
        try await backfill(options, registers: ["erc20_transfers"])
    }

    // MARK: following

    /// Runs `live` beside a body, which ends it.
    private func following(
        _ oracle: GethBlockOracle, from position: Position? = nil, start: UInt64?, into egress: MemoryEgress,
        _ body: () async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await oracle.live(from: position, start: start, until: nil, into: egress) }
            try await body()
            group.cancelAll()
            do { while try await group.next() != nil {} } catch is CancellationError {}
        }
    }

    /// Waits until the egress stands at the simulator's head.
    private func caughtUp(_ egress: MemoryEgress, _ simulator: Simulator) async throws {
        for _ in 0..<5_000 {
            if let head = try simulator.canonical(simulator.head), head.ref == egress.last { return }
            try await Task.sleep(for: .milliseconds(1))
        }
        Issue.record("stands at \(egress.last?.number ?? 0), the head is \(simulator.head)")
    }

    @Test("reorganisations of several depths are followed, and what is left is the canonical chain", arguments: [1, 2, 3, 4] as [UInt64])
    func reorganisations(seed: UInt64) async throws {
        try await withSimulator(chain(seed: seed, history: 20)) { simulator, port in
            let egress = MemoryEgress()
            let events = Events()
            let start = simulator.head - 15
            var random = SeededRandom(seed: seed)
            var depths: [Int] = []
            try await following(oracle([port], finalityDepth: 16, events: events), start: start, into: egress) {
                try await caughtUp(egress, simulator)
                for _ in 0..<12 {
                    try simulator.advance(Int.random(in: 1...3, using: &random))
                    try await caughtUp(egress, simulator)
                    let depth = Int.random(in: 1...8, using: &random)
                    try simulator.reorganise(depth: depth, length: depth + Int.random(in: 0...2, using: &random))
                    depths.append(depth)
                    try await caughtUp(egress, simulator)
                }
            }
            let state = egress.state
            #expect(state.violations == [])
            #expect(state.rollbacks.count == 12)
            #expect(events.depths == depths)
            #expect(try await state.blocks == expected(start...simulator.head, of: simulator))
        }
    }

    @Test("transfers alone follow reorganisations too, with faults on the way")
    func filteredReorganisations() async throws {
        var options = chain(seed: 9, history: 20)
        options.faults.rates = [.lagging: 0.1, .nullAtTip: 0.1, .serverError: 0.1]
        try await withSimulator(options) { simulator, port in
            let registers = ["erc20_transfers"]
            let egress = MemoryEgress(registers)
            let start = simulator.head - 15
            let source = try oracle([port], registers: registers)
            try await following(source, start: start, into: egress) {
                for depth in [1, 4, 2, 7, 3] {
                    try await caughtUp(egress, simulator)
                    try simulator.reorganise(depth: depth, length: depth + 1)
                }
                try await caughtUp(egress, simulator)
            }
            #expect(egress.state.violations == [])
            #expect(try await egress.state.blocks == expected(start...simulator.head, of: simulator, registers))
        }
    }

    @Test("a reorganisation below what is final ends the run with both hashes")
    func beyondFinality() async throws {
        try await withSimulator(chain(history: 40)) { simulator, port in
            let egress = MemoryEgress()
            let error = await #expect(throws: SluiceError.self) {
                try await following(oracle([port]), start: simulator.head - 30, into: egress) {
                    try await caughtUp(egress, simulator)
                    try simulator.reorganise(depth: 25, length: 27)
                    for _ in 0..<3_000 where egress.state.rollbacks.isEmpty { try await Task.sleep(for: .milliseconds(1)) }
                }
            }
            #expect(error?.code == .reorgBeyondFinality && error?.class == .pause)
            let finalized = egress.state.finalized.max() ?? 0
            let ours = try #require(egress.state.blocks.first { $0.ref.number == finalized })
            let theirs = try #require(try simulator.canonical(finalized))
            #expect(ours.ref.hash != theirs.ref.hash)
            #expect(
                error?.message.contains("\(ours.ref.hash)") == true && error?.message.contains("\(theirs.ref.hash)") == true,
                "\(error?.message ?? "")")
            #expect(egress.state.rollbacks == [])
        }
    }

    @Test("it ends at the block that it is to end at")
    func until() async throws {
        try await withSimulator(chain()) { simulator, port in
            let egress = MemoryEgress()
            let start = simulator.head - 9
            try await oracle([port]).live(from: nil, start: start, until: start + 4, into: egress)
            #expect(try await egress.state.blocks == expected(start...start + 4, of: simulator))
            let head = MemoryEgress()
            try await oracle([port]).live(from: nil, start: nil, until: simulator.head, into: head)
            #expect(head.state.blocks.map(\.ref.number) == [simulator.head])
        }
    }

    @Test("a store that stopped on an orphaned branch goes on from the common ancestor", arguments: [true, false])
    func settle(knowsAncestors: Bool) async throws {
        try await withSimulator(chain(history: 30)) { simulator, port in
            let recent = MemoryBlocks()
            let egress = MemoryEgress()
            let start = simulator.head - 25
            try await oracle([port], recent: recent).live(from: nil, start: start, until: simulator.head, into: egress)
            let position = try #require(egress.last)
            try simulator.reorganise(depth: 6, length: 4)
            let ancestor = try #require(try simulator.canonical(position.number - 6)).ref
            // The head is below the position now: the store is settled when the chain has come as far again.
            try simulator.advance(5)
            let next = try oracle([port], recent: knowsAncestors ? recent : MemoryBlocks())
            #expect(try await next.settle(position, finalized: try await recent.finalized()) == ancestor)
            #expect(try await next.settle(ancestor, finalized: try await recent.finalized()) == ancestor)
            // The same without settling before: live undoes it.
            try await next.live(from: position, start: start, until: simulator.head, into: egress)
            #expect(egress.state.rollbacks == [ancestor])
            #expect(egress.state.violations == [])
            #expect(try await egress.state.blocks == expected(start...simulator.head, of: simulator))
        }
    }

    @Test("a store that stopped before its blocks were orphaned deeper than finality is not touched")
    func settleTooDeep() async throws {
        try await withSimulator(chain(history: 60)) { simulator, port in
            let recent = MemoryBlocks()
            let egress = MemoryEgress()
            try await oracle([port], finalityDepth: 8, recent: recent).live(
                from: nil, start: simulator.head - 30, until: simulator.head, into: egress)
            let position = try #require(egress.last)
            // The simulator calls final what lies 16 blocks back; that is remembered, and counts more than the depth.
            try simulator.reorganise(depth: 20, length: 22)
            let error = await #expect(throws: SluiceError.self) {
                _ = try await oracle([port], finalityDepth: 8, recent: recent).settle(position, finalized: try await recent.finalized())
            }
            #expect(error?.code == .reorgBeyondFinality)
        }
    }
}
