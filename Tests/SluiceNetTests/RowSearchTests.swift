import SluiceCore
import SluiceTestKit
import Synchronization
import Testing

@testable import SluiceNet

@Suite struct RowSearchTests {
    /// A server that refuses whatever holds one of some rows.
    private func find(_ bad: Set<Int>, of count: Int) -> (found: [Int], stored: Set<Int>, requests: Int, search: RowSearch) {
        var search = RowSearch(refused: count, reason: "all")
        var stored: Set<Int> = []
        var requests = 0
        while let rows = search.next() {
            requests += 1
            if bad.isDisjoint(with: rows) {
                stored.formUnion(rows)
                search.taken()
            } else {
                search.refused(rows, reason: "\(rows.lowerBound)")
            }
        }
        return (search.found.map(\.row), stored, requests, search)
    }

    @Test("finds exactly the rows that are refused, in order, and all others go in", arguments: 0..<200 as Range<UInt64>)
    func random(_ seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let count = Int.random(in: 1...300, using: &random)
        let bad = Set((0..<Int.random(in: 1...12, using: &random)).map { _ in Int.random(in: 0..<count, using: &random) })
        let result = find(bad, of: count)
        #expect(result.found == bad.sorted() && !result.search.isHopeless)
        #expect(result.stored == Set(0..<count).subtracting(bad))
        #expect(result.search.found.allSatisfy { count == 1 || $0.reason == "\($0.row)" })
    }

    @Test("one row of many costs two requests a halving")
    func cost() {
        for row in [0, 511, 1023] { #expect(find([row], of: 1024).requests == 20) }
    }

    @Test("gives up when nothing at all is taken, and when there are too many")
    func hopeless() {
        let all = find(Set(0..<5000), of: 5000)
        #expect(all.search.isHopeless && all.found == Array(0..<RowSearch.unsure) && all.stored.isEmpty)
        let few = find(Set(0..<10), of: 10)
        #expect(!few.search.isHopeless && few.found.count == 10)
        let half = find(Set(stride(from: 1, to: 5000, by: 2)), of: 5000)
        #expect(half.search.isHopeless && half.found.count == RowSearch.most)
    }
}

@Suite struct RequestGateTests {
    private struct Refused: Error {}

    private final class Counts: Sendable {
        private let all = Mutex((now: 0, most: 0, done: 0))
        var found: (now: Int, most: Int, done: Int) { all.withLock { $0 } }

        func enter() {
            all.withLock {
                $0.now += 1
                $0.most = max($0.most, $0.now)
            }
        }

        func leave() {
            all.withLock {
                $0.now -= 1
                $0.done += 1
            }
        }
    }

    @Test("never lets more through than its limit says, and everybody gets in")
    func limit() async throws {
        let clock = ManualClock()
        let gate = RequestGate(initial: 1, maximum: 3, time: clock.timeSource)
        let counts = Counts()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<200 {
                group.addTask {
                    _ = try? await gate.run(isCongestion: { _ in false }) {
                        counts.enter()
                        await Task.yield()
                        counts.leave()
                    }
                }
            }
        }
        let found = counts.found
        #expect(found.done == 200 && found.most <= 3 && found.now == 0)
        #expect(gate.current == 3)
    }

    /// So many requests that take so long.
    private func run(_ gate: RequestGate, _ clock: ManualClock, _ count: Int, bytes: Int?, seconds: Double) async throws {
        for _ in 0..<count {
            try await gate.run(bytes: bytes, isCongestion: { _ in false }) { clock.advance(by: .seconds(seconds)) }
        }
    }

    @Test("late answers make it narrower, but not those of larger requests beside small ones, nor where sizes say nothing")
    func latency() async throws {
        let clock = ManualClock()
        let gate = RequestGate(initial: 4, maximum: 4, time: clock.timeSource)
        try await run(gate, clock, 20, bytes: 1000, seconds: 0.01)
        #expect(gate.current == 4)
        try await run(gate, clock, 20, bytes: 1000, seconds: 1)
        #expect(gate.current < 4)
        let mixed = RequestGate(initial: 4, maximum: 4, time: clock.timeSource)
        for _ in 0..<20 {
            try await run(mixed, clock, 1, bytes: 1_000_000, seconds: 1)
            try await run(mixed, clock, 1, bytes: 1000, seconds: 0.001)
        }
        #expect(mixed.current == 4)
        let blind = RequestGate(initial: 4, maximum: 4, time: clock.timeSource)
        for _ in 0..<20 {
            try await run(blind, clock, 1, bytes: nil, seconds: 0.001)
            try await run(blind, clock, 1, bytes: nil, seconds: 1)
        }
        #expect(blind.current == 4)
    }

    @Test("errors are handed on, and those that tell of congestion make it narrower")
    func congestion() async throws {
        let clock = ManualClock()
        let gate = RequestGate(initial: 8, maximum: 8, time: clock.timeSource)
        await #expect(throws: Refused.self) { try await gate.run(isCongestion: { _ in false }) { throw Refused() } }
        #expect(gate.current == 8)
        clock.advance(by: .seconds(1))
        await #expect(throws: Refused.self) { try await gate.run(isCongestion: { _ in true }) { throw Refused() } }
        #expect(gate.current == 5)
    }
}
