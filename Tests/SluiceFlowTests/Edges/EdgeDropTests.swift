import SluiceCore
import Testing

@testable import SluiceFlow

@Suite(.timeLimit(.minutes(1))) struct EdgeDropTests {
    private func position(_ number: UInt64, branch: UInt8 = 0) -> Position { FakeBlock(number: number, branch: branch).ref }

    @Test("exactly what does not fit is dropped and counted; what undoes or seals passes")
    func overflow() async throws {
        let edge = Edge(capacity: weight() * 3, policy: .dropNewest)
        for number in 1...5 { try await edge.send(numbered(number, rows: number)) }
        // 1 and 2 fit (3 is too heavy by then), and nothing as heavy as they are fits behind them.
        #expect(edge.accounts.sent == .init(batches: 5, rows: 15))
        #expect(edge.accounts.inMemory == .init(batches: 2, rows: 3))
        #expect(edge.accounts.dropped == .init(batches: 3, rows: 12))
        try await edge.send(.rollback(to: position(4)))
        try await edge.send(.finalized(1))
        #expect(edge.accounts.isBalanced && edge.accounts.suspended == 0)
        edge.finish()
        #expect(try await edge.all() == ["1", "2", "r4", "f1"])
        #expect(edge.accounts.received == .init(batches: 2, rows: 3) && edge.accounts.isBalanced)
    }

    @Test("an edge that is full for ever keeps the newest finality only, and stays small")
    func finality() async throws {
        let edge = Edge(capacity: 1, policy: .dropNewest)
        try await edge.send(numbered(0))
        for number in 1..<1_000 as Range<UInt64> { try await edge.send(.finalized(number)) }
        try await edge.send(.rollback(to: position(999)))
        for number in 1_000..<2_000 as Range<UInt64> { try await edge.send(.finalized(number)) }
        #expect(edge.accounts.memoryBytes == weight() + 3 * 256)
        edge.finish()
        #expect(try await edge.all() == ["0", "f999", "r999", "f1999"])
    }

    @Test("a rollback into a hole takes off every segment behind it, from the highest down")
    func holes() async throws {
        let edge = Edge(capacity: weight(), policy: .dropNewest)
        // Passes 1, drops 2 and 3, passes 4, drops 5, passes 6.
        for number in 1...6 {
            try await edge.send(numbered(number))
            if number == 3 || number == 5 { #expect(edge.receiveNow() != nil) }
        }
        #expect(edge.accounts.dropped.batches == 3)
        #expect(name(edge.receiveNow()) == "6")
        try await edge.send(.rollback(to: position(2)))
        try await edge.send(.rollback(to: position(1)))
        edge.finish()
        #expect(try await edge.all() == ["r5", "r3", "r2", "r1"])
    }

    @Test("where segments begin is forgotten when it is final")
    func pruned() {
        var holes = EdgeHoles()
        for number in [10, 20, 30] as [UInt64] {
            holes.drop()
            holes.pass(Span(first: number, parentHash: position(number - 1).hash, blocks: [BlockStamp(hash: .zero, timestamp: 0)]))
        }
        holes.finalize(through: 19)
        let rollbacks = holes.rollbacks(to: position(19))
        #expect(rollbacks == [position(29), position(19)])
        let again = holes.rollbacks(to: position(5))
        #expect(again == [position(5)])
    }

    /// A store as sinks keep it: what it holds must be of the present chain, whatever was dropped, whenever the reader read.
    @Test("with holes and reorganisations at any moment, a store holds nothing that is orphaned", arguments: 0..<60 as Range<UInt64>)
    func reorganisations(seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        let edge = Edge(capacity: weight() * Int.random(in: 1...4, using: &random), policy: .dropNewest)
        var chain = [FakeBlock(number: 0, branch: 0)]
        var final = 0
        var branch: UInt8 = 0
        var coverage = Coverage()
        var held: [UInt64: Hash32] = [:]
        let stream = StreamID(pipeline: "test", chainID: 1)
        func read(_ most: Int) throws {
            for _ in 0..<most {
                switch edge.receiveNow() {
                case .batch(let batch):
                    try coverage.append(batch.span, stream: stream)
                    for number in batch.span.first...batch.span.last.number { held[number] = batch.span.hash(number) }
                case .rollback(let position):
                    if let range = coverage.rollback(to: position) { for number in range { held[number] = nil } }
                case .finalized, nil: break
                }
            }
        }
        var orphaned = 0
        for _ in 0..<400 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<6:
                let first = chain.count
                let count = Int.random(in: 1...3, using: &random)
                for number in first..<first + count { chain.append(FakeBlock(number: UInt64(number), branch: branch)) }
                try await edge.send(.batch(batch(Array(chain[first...]), parent: chain[first - 1].hash)))
            case 6 where chain.count > final + 2:
                let to = Int.random(in: final..<chain.count - 1, using: &random)
                orphaned += chain.count - 1 - to
                chain.removeSubrange((to + 1)...)
                branch = branch == 200 ? 0 : branch + 1
                try await edge.send(.rollback(to: chain[to].ref))
            case 7:
                final = Int.random(in: final..<chain.count, using: &random)
                try await edge.send(.finalized(UInt64(final)))
            default: try read(Int.random(in: 0...3, using: &random))
            }
        }
        try read(1_000)
        let canonical = Set(chain.map(\.ref))
        for (number, hash) in held { #expect(canonical.contains(BlockRef(number: number, hash: hash))) }
        for segment in coverage.segments { #expect(canonical.contains(segment.last)) }
        #expect(edge.accounts.isBalanced && edge.accounts.dropped.batches > 0 && orphaned > 0)
    }
}
