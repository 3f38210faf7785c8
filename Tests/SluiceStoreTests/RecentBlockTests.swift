import SluiceCore
import SluiceStore
import Testing

@Suite struct RecentBlockTests {
    private let folder: StoreFolder
    private let stream = StreamID(pipeline: "main", chainID: 1)

    init() throws { folder = try StoreFolder() }

    @Test("a block on an orphaned branch still knows its ancestors after a restart")
    func orphaned() async throws {
        let store = try await StateStore.open(folder.file("s"))
        try await store.remember((100...105).map { link($0) }, of: stream)
        // From 103 on another branch wins, and grows longer.
        try await store.remember([link(103, fork: 1, onto: 0)] + (104...109).map { link($0, fork: 1) }, of: stream)
        await store.close()
        let again = try await StateStore.open(folder.file("s"))
        #expect(try await again.ancestors(of: block(105), stream: stream) == (100...105).map { block($0) })
        let winner = (100...102).map { block($0) } + (103...109).map { block($0, fork: 1) }
        #expect(try await again.ancestors(of: block(109, fork: 1), stream: stream) == winner)
        // What is final is forgotten on both branches; the last final block stays.
        try await again.forgetBlocks(of: stream, below: 104)
        #expect(try await again.ancestors(of: block(109, fork: 1), stream: stream) == (104...109).map { block($0, fork: 1) })
        #expect(try await again.ancestors(of: block(105), stream: stream) == [block(104), block(105)])
        #expect(try await again.ancestors(of: block(103), stream: stream) == [])
    }

    @Test("a block that is unknown, of another stream or of another number has no ancestors")
    func unknown() async throws {
        let store = try await StateStore.open(folder.file("s"))
        try await store.remember([link(0), link(1)], of: stream)
        #expect(try await store.ancestors(of: block(1), stream: stream) == [block(0), block(1)])
        #expect(try await store.ancestors(of: block(2), stream: stream) == [])
        #expect(try await store.ancestors(of: block(1, fork: 1), stream: stream) == [])
        #expect(try await store.ancestors(of: Position(number: 2, hash: block(1).hash), stream: stream) == [])
        #expect(try await store.ancestors(of: block(1), stream: StreamID(pipeline: "main", chainID: 2)) == [])
        #expect(try await store.ancestors(of: block(1), stream: StreamID(pipeline: "other", chainID: 1)) == [])
    }

    @Test("the walk does not stray into another stream")
    func streams() async throws {
        let store = try await StateStore.open(folder.file("s"))
        try await store.remember([link(1), link(2)], of: stream)
        for other in [StreamID(pipeline: "main", chainID: 2), StreamID(pipeline: "other", chainID: 1)] {
            try await store.remember([link(0), link(1)], of: other)
            try await store.forgetBlocks(of: other, below: 1)
            try await store.remember([link(0)], of: other)
        }
        #expect(try await store.ancestors(of: block(2), stream: stream) == [block(1), block(2)])
    }

    @Test("the walk ends at a hole, and where a parent's number does not fit")
    func ends() async throws {
        let store = try await StateStore.open(folder.file("s"))
        try await store.remember([link(5), link(7), link(8)], of: stream)
        #expect(try await store.ancestors(of: block(8), stream: stream) == [block(7), block(8)])
        // Two blocks that call each other their parent must not make the walk endless.
        try await store.remember(
            [BlockLink(ref: block(20), parentHash: block(21).hash), BlockLink(ref: block(21), parentHash: block(20).hash)], of: stream)
        #expect(try await store.ancestors(of: block(21), stream: stream) == [block(20), block(21)])
        // A parent that is known, but lies further down, is no parent.
        try await store.remember([BlockLink(ref: block(10), parentHash: block(8).hash)], of: stream)
        #expect(try await store.ancestors(of: block(10), stream: stream) == [block(10)])
    }

    @Test("a block that comes again is replaced")
    func replaced() async throws {
        let store = try await StateStore.open(folder.file("s"))
        try await store.remember([link(4), link(4, fork: 1), link(5)], of: stream)
        try await store.remember([link(5), link(5, fork: 0, onto: 1)], of: stream)
        #expect(try await store.ancestors(of: block(5), stream: stream) == [block(4, fork: 1), block(5)])
        await store.close()
        let again = try await StateStore.open(folder.file("s"))
        #expect(try await again.ancestors(of: block(5), stream: stream) == [block(4, fork: 1), block(5)])
    }

    @Test("remembering with a number that cannot be stored changes nothing")
    func atomic() async throws {
        let store = try await StateStore.open(folder.file("s"))
        await #expect(throws: SluiceError.self) { try await store.remember([link(1), link(.max)], of: stream) }
        #expect(try await store.ancestors(of: block(1), stream: stream) == [])
    }

    @Test("after any history of forks and forgetting, every block's ancestors equal a model's", arguments: UInt64(1)...8)
    func history(_ seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        let other = StreamID(pipeline: "main", chainID: 2)
        var store = try await StateStore.open(folder.file("s"))
        // The model: each block's parent, by hash, and every block that ever was.
        var known: [Hash32: BlockLink] = [:]
        var all: [BlockRef] = []
        var floor: UInt64 = 0
        func hash() -> Hash32 { Hash32((0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }) ?? .zero }
        func ancestors(of block: BlockRef) -> [BlockRef] {
            var out: [BlockRef] = []
            var at = known[block.hash]
            while let link = at {
                out.append(link.ref)
                at = known[link.parentHash]
            }
            return out.reversed()
        }
        for round in 0..<40 {
            // A branch of a few blocks onto any known block, most often a late one; sometimes onto one never seen.
            let late = all.suffix(6).filter { known[$0.hash] != nil }
            let choice = Bool.random(using: &random) ? all : late
            let base = Int.random(in: 0..<8, using: &random) == 0 ? nil : choice.randomElement(using: &random)
            var tip = base ?? BlockRef(number: floor + UInt64.random(in: 0...5, using: &random), hash: hash())
            var links: [BlockLink] = []
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let next = BlockRef(number: tip.number + 1, hash: hash())
                links.append(BlockLink(ref: next, parentHash: tip.hash))
                tip = next
            }
            // The same blocks twice are one; the order of arrival does not matter.
            if Bool.random(using: &random) { links += links.shuffled(using: &random) }
            try await store.remember(links.shuffled(using: &random), of: stream)
            for link in links {
                if known.updateValue(link, forKey: link.ref.hash) == nil { all.append(link.ref) }
            }
            try await store.remember([link(UInt64(round))], of: other)
            #expect(try await store.ancestors(of: tip, stream: stream) == ancestors(of: tip))
            if Int.random(in: 0..<5, using: &random) == 0, let highest = all.map(\.number).max() {
                // As at real finality, the last blocks stay.
                floor = UInt64.random(in: floor...max(floor, highest - min(highest, 6)), using: &random)
                try await store.forgetBlocks(of: stream, below: floor)
                known = known.filter { $0.value.ref.number >= floor }
            }
            if round % 16 == 15 {
                await store.close()
                store = try await StateStore.open(folder.file("s"))
            }
        }
        var longest = 0
        for block in all {
            let expected = ancestors(of: block)
            #expect(try await store.ancestors(of: block, stream: stream) == expected)
            longest = max(longest, expected.count)
        }
        #expect(longest > 3 && known.count < all.count)
        #expect(try await store.ancestors(of: block(39), stream: other) == (0..<40).map { block($0) })
        await store.close()
    }
}
