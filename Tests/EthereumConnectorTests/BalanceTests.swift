import SluiceChain
import SluiceCore
import SluiceNet
import SluiceSimulator
import SluiceTestKit
import Synchronization
import Testing

@testable import EthereumConnector

/// Balances against a simulator over real HTTP.
@Suite(.timeLimit(.minutes(1))) struct BalanceTests {
    /// The blocks of a range that are sampled in a backfill.
    private func sampled(_ range: ClosedRange<UInt64>, every interval: UInt64) -> [UInt64] {
        range.filter { ($0 + 1) % interval == 0 || $0 == range.upperBound }
    }

    // MARK: - Ranges

    @Test("a range has exact balances at every so many blocks and at its last one", arguments: [1, 7, 100] as [UInt64], [1, 20])
    func range(interval: UInt64, maxBatch: Int) async throws {
        try await withSimulator(chain(history: 60)) { simulator, port in
            let addresses = someAddresses(9)
            let range = simulator.head - 40...simulator.head - 2
            let log = BalanceLog()
            try await balanceOracle([port], addresses, interval: interval, maxBatch: maxBatch).backfill(
                range, after: nil, into: log)
            let state = log.state
            #expect(state.violations == [] && state.blocks.map(\.number) == Array(range))
            #expect(try state.rows == expectedBalances(addresses, at: sampled(range, every: interval), of: simulator))
            #expect(state.letters == [] && state.filtered == [:])
        }
    }

    @Test("the same blocks are sampled wherever a range begins")
    func grid() async throws {
        try await withSimulator(chain(history: 60)) { simulator, port in
            let source = try balanceOracle([port], someAddresses(2))
            let (whole, parts) = (BalanceLog(), BalanceLog())
            let range = simulator.head - 45...simulator.head - 3
            try await source.backfill(range, after: nil, into: whole)
            let middle = range.lowerBound + 17
            try await source.backfill(range.lowerBound...middle, after: nil, into: parts)
            try await source.backfill(middle + 1...range.upperBound, after: parts.last, into: parts)
            #expect(parts.state.violations == [])
            #expect(parts.state.rows.filter { $0.block.number != middle } == whole.state.rows)
        }
    }

    @Test("balances of every width come whole")
    func widths() async throws {
        try await withSimulator(chain(history: 200)) { simulator, port in
            let addresses = [Address.zero] + someAddresses(200)
            let log = BalanceLog()
            try await balanceOracle([port], addresses).backfill(simulator.head...simulator.head, after: nil, into: log)
            let balances = log.state.rows.map(\.balance)
            #expect(balances.contains(.zero) && balances.contains { $0.high > 0 } && balances.contains { $0.high == 0 && $0.low >> 64 > 0 })
            #expect(try log.state.rows == expectedBalances(addresses, at: [simulator.head], of: simulator))
        }
    }

    @Test("many addresses go in as few requests as the endpoint allows", arguments: [0, 1, 20, 21, 100])
    func batching(count: Int) async throws {
        try await withSimulator(chain()) { simulator, port in
            let node = try balanceNode([port])
            func source(_ addresses: [Address]) -> any Oracle {
                EthereumRegisters.oracle(node, needs: [balanceNeed(addresses)], recent: MemoryBlocks())
            }
            let block = simulator.head
            // Requests grow with what comes back well.
            for _ in 0..<4 { try await source(someAddresses(40)).backfill(block...block, after: nil, into: BalanceLog()) }
            func cost(_ addresses: [Address]) async throws -> (requests: Int, calls: Int) {
                let source = source(addresses)
                let before = simulator.statistics
                try await source.backfill(block...block, after: nil, into: BalanceLog())
                let after = simulator.statistics
                return (
                    after.requests - before.requests, after.calls["eth_getBalance", default: 0] - before.calls["eth_getBalance", default: 0]
                )
            }
            let nothing = try await cost([])
            let all = try await cost(someAddresses(count))
            #expect(nothing.calls == 0 && all.calls == count)
            // The head may be asked for in one run and remembered in the other.
            #expect((-1...1).contains(all.requests - nothing.requests - (count + 19) / 20), "\(all) against \(nothing)")
        }
    }

    @Test("what others need comes along with the balances")
    func together() async throws {
        try await withSimulator(chain()) { simulator, port in
            let addresses = someAddresses(3)
            let log = BalanceLog()
            let range = simulator.head - 9...simulator.head
            try await balanceOracle([port], addresses, interval: 5, needs: [Need("logs")]).backfill(
                range, after: nil, into: log)
            #expect(try log.state.rows == expectedBalances(addresses, at: sampled(range, every: 5), of: simulator))
            #expect(log.state.logRows > 0)
        }
    }

    private static let kinds = FaultKind.allCases.filter { $0 != .wrongChainID }

    @Test("a fifth of the requests fail, and all is complete and exact", arguments: kinds)
    func faults(kind: FaultKind) async throws {
        var options = chain(history: 40)
        options.faults.rates = [kind: 0.2]
        options.faults.retryAfterSeconds = 0
        options.faults.trickleInterval = .milliseconds(1)
        try await withSimulator(options) { simulator, port in
            // Few: where an endpoint refuses for its rate, the pool soon goes slowly, and counts calls.
            let addresses = someAddresses(12)
            let range = simulator.head - 30...simulator.head
            let log = BalanceLog()
            let source = try balanceOracle([port], addresses, maxBatch: 5)
            var tries = 0
            while log.last.map({ $0.number < range.upperBound }) ?? true {
                tries += 1
                try #require(tries < 20)
                // A pipeline does the same: an upstream that gives up for now is asked again from where it ended.
                do {
                    let from = log.last.map { $0.number + 1 } ?? range.lowerBound
                    try await source.backfill(from...range.upperBound, after: log.last, into: log)
                } catch let error as SluiceError where error.class == .retry {}
            }
            #expect(log.state.violations == [] && log.state.letters == [] && log.state.filtered == [:])
            #expect(try log.state.rows == expectedBalances(addresses, at: sampled(range, every: 10), of: simulator))
        }
    }

    @Test("an endpoint that knows blocks by number only is asked by number")
    func byNumber() async throws {
        var options = chain()
        options.rpc.hasBlockHashParameters = false
        try await withSimulator(options) { simulator, port in
            let addresses = someAddresses(30)
            let log = BalanceLog()
            let range = simulator.head - 15...simulator.head
            try await balanceOracle([port], addresses, interval: 4).backfill(range, after: nil, into: log)
            #expect(try log.state.rows == expectedBalances(addresses, at: sampled(range, every: 4), of: simulator))
            #expect(log.state.letters == [])
        }
    }

    // MARK: - Archives

    @Test("without an archive an old block is an error that names it and the mend")
    func pruned() async throws {
        var options = chain(history: 60)
        options.rpc.stateBlocks = 16
        try await withSimulator(options) { simulator, port in
            let addresses = someAddresses(5)
            let range = simulator.head - 50...simulator.head
            let log = BalanceLog()
            let source = try balanceOracle([port], addresses)
            let error = await #expect(throws: SluiceError.self) { try await source.backfill(range, after: nil, into: log) }
            let first = try #require(sampled(range, every: 10).first)
            #expect(error?.code == .stateUnavailable && error?.class == .pause)
            #expect(
                error?.message.contains("block \(first); http://127.0.0.1:\(port)") == true
                    && error?.mend?.contains("archive endpoint") == true)
            #expect(error?.message.contains(" answers: eth_getBalance: missing trie node") == true, "\(error?.message ?? "")")
            // With an archive beside it all is there.
            try await withSimulator(chain(history: 60)) { _, archive in
                let log = BalanceLog()
                try await balanceOracle([port, archive], addresses).backfill(range, after: nil, into: log)
                #expect(try log.state.rows == expectedBalances(addresses, at: sampled(range, every: 10), of: simulator))
            }
            // Or the old ones are left out, and kept as dead letters.
            let leaving = BalanceLog()
            try await balanceOracle([port], addresses, pruned: .leaveOut).backfill(range, after: nil, into: leaving)
            let blocks = sampled(range, every: 10)
            #expect(try leaving.state.rows == expectedBalances(addresses, at: blocks.filter { $0 + 16 > simulator.head }, of: simulator))
            #expect(leaving.state.letters.map(\.block.number) == blocks.filter { $0 + 16 <= simulator.head })
            #expect(leaving.state.letters.allSatisfy { $0.reason == "state_unavailable" && $0.row == "block \($0.block.number)" })
        }
    }

    @Test(
        "what nodes say of state that is gone is understood",
        arguments: [
            "missing trie node 1f2e (path ) state 0x3c is not available, not found", "historical state 0x3c is not available",
            "required historical state unavailable (reexec=128)", "No state available for block 0x12", "World state unavailable",
            "state at block #12 is pruned", "distance to target block exceeds maximum proof window",
            "old data not available due to pruning", "this request needs an archive node",
        ])
    func prunedWords(_ message: String) {
        let error = RPCFault.error(.balance(.zero, at: 12), code: -32000, message: message) as? SluiceError
        #expect(error?.code == .stateUnavailable && error?.class == .endpoint)
        let missing = RPCFault.error(.balance(.zero, at: 12), code: -32000, message: "header for hash not found") as? SluiceError
        #expect(missing?.code == .blockMissing)
        let unknown = RPCFault.error(.chainID(), code: -32601, message: "the method eth_x does not exist/is not available") as? SluiceError
        #expect(unknown?.code == .methodUnsupported)
    }

    @Test("live, old blocks of a late reader are left out, and the newest is there")
    func lateLive() async throws {
        var options = chain(history: 60)
        options.rpc.stateBlocks = 4
        try await withSimulator(options) { simulator, port in
            let addresses = someAddresses(3)
            let start = simulator.head - 25
            let log = BalanceLog()
            try await balanceOracle([port], addresses).live(from: nil, start: start, until: simulator.head, into: log)
            let old = sampled(start...simulator.head, every: 10).filter { $0 + 4 <= simulator.head }
            #expect(!old.isEmpty && log.state.letters.map(\.block.number) == old)
            #expect(log.state.rows.filter { $0.block.number == simulator.head }.count == 3)
        }
        options.rpc.stateBlocks = 0
        try await withSimulator(options) { simulator, port in
            let error = await #expect(throws: SluiceError.self) {
                try await balanceOracle([port], someAddresses(1)).live(from: nil, start: nil, until: nil, into: BalanceLog())
            }
            #expect(error?.code == .stateUnavailable && error?.message.contains("block \(simulator.head);") == true)
        }
    }

    // MARK: - Addresses that cannot be read

    @Test("members that are no addresses become dead letters, once, and the others are read", arguments: [1, 20])
    func malformed(maxBatch: Int) async throws {
        try await withSimulator(chain(history: 60)) { simulator, port in
            let addresses = someAddresses(4)
            let bad = ["", "0x", "0x12", "vitalik.eth", "\(addresses[0])00", "\"\n\0\\", "0x" + String(repeating: "g", count: 40)]
            // Another way to write an address that is there already is no second one.
            let others = bad + ["0x" + "\(addresses[1])".dropFirst(2).uppercased()]
            let range = simulator.head - 30...simulator.head
            let log = BalanceLog()
            try await balanceOracle([port], addresses, maxBatch: maxBatch, others: others).backfill(range, after: nil, into: log)
            let expected = try expectedBalances(addresses, at: sampled(range, every: 10), of: simulator)
            #expect(Set(log.state.rows) == Set(expected) && log.state.rows.count == expected.count)
            let letters = log.state.letters
            #expect(letters.count == bad.count && Set(letters.map(\.row)) == Set(bad.map { "address \($0)" }))
            #expect(letters.allSatisfy { $0.reason == "address_malformed" && $0.register == "account_balance" })
            #expect(Set(try letters.map { try object(Array($0.payload.utf8))["address"] as? String }) == Set(bad))
        }
    }

    @Test("an address whose balance is refused again and again becomes a dead letter, and the others are read", arguments: [1, 2, 20])
    func refused(maxBatch: Int) async throws {
        let addresses = someAddresses(9)
        var options = chain(history: 60)
        options.rpc.refusedBalances = ["\(addresses[4])"]
        try await withSimulator(options) { simulator, port in
            let range = simulator.head - 20...simulator.head
            let log = BalanceLog()
            try await balanceOracle([port], addresses, maxBatch: maxBatch).backfill(range, after: nil, into: log)
            let blocks = sampled(range, every: 10)
            var others = addresses
            others.remove(at: 4)
            #expect(try log.state.rows == expectedBalances(others, at: blocks, of: simulator))
            #expect(log.state.letters.map(\.block.number) == blocks)
            #expect(log.state.letters.allSatisfy { $0.reason == "balance_unavailable" && $0.row == "address \(addresses[4])" })
        }
    }

    @Test("an endpoint that gives no balance at all is left for another, and without one is an error")
    func nothingAtAll() async throws {
        let addresses = someAddresses(3)
        for count in [1, 3] {
            var options = chain()
            options.rpc.refusedBalances = Set(addresses.map(\.description))
            try await withSimulator(options) { simulator, port in
                let block = simulator.head
                let wanted = Array(addresses.prefix(count))
                let error = await #expect(throws: SluiceError.self) {
                    try await balanceOracle([port], wanted, attempts: 3).backfill(block...block, after: nil, into: BalanceLog())
                }
                #expect(error?.class == .retry)
                try await withSimulator(chain()) { _, other in
                    let log = BalanceLog()
                    try await balanceOracle([port, other], wanted).backfill(block...block, after: nil, into: log)
                    #expect(try log.state.rows == expectedBalances(wanted, at: [block], of: simulator))
                }
            }
        }
    }
}
