import Foundation
import SluiceSimulator
import SluiceTestKit
import Testing

@Suite struct FaultTests {
    private func always(_ kind: FaultKind) -> SimulatorOptions {
        var options = generated(history: 4)
        options.faults.rates = [kind: 1]
        return options
    }

    private let pair = #"[{"id":1,"method":"eth_chainId"},{"id":2,"method":"eth_blockNumber"}]"#

    @Test("429 comes without and with Retry-After", arguments: [FaultKind.tooManyRequests, .tooManyRequestsRetryAfter])
    func tooMany(kind: FaultKind) async throws {
        try await withSimulator(always(kind)) { simulator, port in
            let reply = try await TestClient(port: port).call("eth_chainId")
            #expect(reply.status == 429)
            #expect(reply.head.contains("Retry-After: 1") == (kind == .tooManyRequestsRetryAfter))
            #expect(simulator.statistics.faults == [kind.rawValue: 1])
        }
    }

    @Test("server errors and JSON-RPC errors come in all their codes")
    func errors() async throws {
        try await withSimulator(always(.serverError)) { _, port in
            let client = try TestClient(port: port)
            var seen: Set<Int> = []
            for _ in 0..<40 { seen.insert(try await client.call("eth_chainId").status) }
            #expect(seen == [500, 502, 503])
        }
        try await withSimulator(always(.rpcError)) { _, port in
            let client = try TestClient(port: port)
            var seen: Set<Int> = []
            for _ in 0..<40 { seen.insert(try await client.call("eth_chainId").errorCode ?? 0) }
            #expect(seen == [-32000, -32005, -32603])
        }
    }

    @Test("a truncated body ends before its promised length")
    func truncated() async throws {
        try await withSimulator(always(.truncatedBody)) { _, port in
            let reply = try await TestClient(port: port).call("eth_getBlockByNumber", #"["latest",true]"#)
            #expect(reply.status == 200)
            #expect(!reply.isWhole)
        }
    }

    @Test("a reset connection gives no byte, a time-out none either but stays open")
    func silence() async throws {
        try await withSimulator(always(.reset)) { _, port in
            _ = await #expect(throws: ClientFault.closed) { try await TestClient(port: port).call("eth_chainId") }
        }
        try await withSimulator(always(.timeout)) { _, port in
            _ = await #expect(throws: ClientFault.timedOut) {
                try await TestClient(port: port, timeoutSeconds: 1).call("eth_chainId")
            }
        }
    }

    @Test("a malformed body is never JSON")
    func malformed() async throws {
        try await withSimulator(always(.malformedBody)) { _, port in
            let client = try TestClient(port: port)
            for _ in 0..<60 {
                let reply = try await client.call("eth_getBlockReceipts", #"["latest"]"#)
                #expect(reply.status == 200 && reply.isWhole)
                #expect(reply.json == nil)
            }
        }
    }

    @Test("a trickle arrives whole, and not at once")
    func trickle() async throws {
        var options = always(.trickle)
        options.faults.trickleBytes = 1000
        options.faults.trickleInterval = .milliseconds(3)
        try await withSimulator(options) { simulator, port in
            let start = ContinuousClock.now
            let reply = try await TestClient(port: port).call("eth_getBlockByNumber", #"["latest",true]"#)
            let pieces = reply.body.count / 1000
            #expect(reply.isWhole && pieces > 3)
            #expect((reply.result as? [String: Any])?["hash"] != nil)
            #expect(ContinuousClock.now - start >= .milliseconds(3) * (pieces - 1))
        }
    }

    @Test("latency is waited for")
    func latency() async throws {
        var options = generated(history: 1)
        options.faults.latency = .milliseconds(60)
        options.faults.latencySpread = .milliseconds(20)
        try await withSimulator(options) { _, port in
            let start = ContinuousClock.now
            let client = try TestClient(port: port)
            #expect(try await client.call("eth_chainId").result as? String == "0x1")
            #expect(ContinuousClock.now - start >= .milliseconds(40))
        }
    }

    @Test("answers of a batch are reordered, missing or doubled")
    func batches() async throws {
        for (kind, ids) in [(FaultKind.batchReordered, [[2, 1]]), (.batchMissing, [[1], [2]]), (.batchDuplicated, [[1, 1], [2, 2]])] {
            try await withSimulator(always(kind)) { _, port in
                let client = try TestClient(port: port)
                let got = try await client.post(pair).list.compactMap { $0["id"] as? Int }
                #expect(ids.contains(got), "\(kind): \(got)")
                #expect(try await client.call("eth_chainId").result as? String == "0x1")
            }
        }
    }

    @Test("a block at the tip is null, further back it is there")
    func tip() async throws {
        try await withSimulator(always(.nullAtTip)) { simulator, port in
            let client = try TestClient(port: port)
            for (back, isNull) in [(0, true), (1, true), (2, false)] as [(UInt64, Bool)] {
                let reply = try await client.call("eth_getBlockByNumber", "[\"\(hex(simulator.head - back))\",false]")
                #expect((reply.result is NSNull) == isNull)
            }
            #expect(number(try await client.call("eth_blockNumber").result) == simulator.head)
        }
    }

    @Test("a lagging node reports an older head, per request")
    func lagging() async throws {
        var options = generated(history: 12)
        options.faults.rates = [.lagging: 0.5]
        try await withSimulator(options) { simulator, port in
            let client = try TestClient(port: port)
            var heads: Set<UInt64> = []
            for _ in 0..<100 { heads.insert(number(try await client.call("eth_blockNumber").result) ?? 0) }
            #expect(heads == Set(simulator.head - 5...simulator.head))
        }
    }

    @Test("the wrong chain shows itself by its id")
    func wrongChain() async throws {
        try await withSimulator(always(.wrongChainID)) { _, port in
            let client = try TestClient(port: port)
            #expect(try await client.call("eth_chainId").result as? String == "0x2")
        }
    }

    @Test("an altered body is JSON in which one thing differs")
    func altered() async throws {
        try await withSimulator(always(.alteredBody)) { simulator, port in
            let client = try TestClient(port: port)
            let truth = try #require(try simulator.canonical(simulator.head))
            for _ in 0..<20 {
                let reply = try await client.call("eth_getBlockByNumber", #"["latest",true]"#)
                let block = try #require(reply.result as? NSDictionary)
                let real = try JSONSerialization.jsonObject(with: Data(truth.block)) as? NSDictionary
                #expect(block != real)
            }
        }
    }

    @Test("the rate limit counts calls and refills with time")
    func rateLimit() async throws {
        var options = generated(history: 1)
        options.faults.requestsPerSecond = 0.5
        try await withSimulator(options) { simulator, port in
            let client = try TestClient(port: port)
            var refused = 0
            for _ in 0..<6 where try await client.post(pair).status == 429 { refused += 1 }
            #expect(refused >= 3)
            #expect(simulator.statistics.faults["rate_limited"] == refused)
            var isAdmitted = false
            for _ in 0..<100 where !isAdmitted {
                try await Task.sleep(for: .milliseconds(50))
                isAdmitted = try await client.call("eth_chainId").status == 200
            }
            #expect(isAdmitted)
        }
    }

    @Test("a total rate spreads over the kinds, seeded, and leaves lies out")
    func spread() async throws {
        func run() async throws -> [String: Int] {
            var options = generated(history: 4)
            options.faults.faultRate = 0.9
            options.faults.seed = 42
            options.faults.trickleInterval = .microseconds(10)
            options.faults.spread.remove(.timeout)
            return try await withSimulator(options) { simulator, port in
                for _ in 0..<200 { _ = try? await TestClient(port: port).post(pair) }
                return simulator.statistics.faults
            }
        }
        let first = try await run()
        let second = try await run()
        #expect(first == second)
        #expect(
            Set(first.keys)
                == Set(FaultKind.allCases.map(\.rawValue)).subtracting([
                    "altered_body", "wrong_chain_id", "timeout", "null_at_tip",
                ]))
        #expect((100...190).contains(first.values.reduce(0, +)))
    }
}
