import SluiceChain
import SluiceCore
import Testing

/// A made-up hash: the height, and the name of the branch.
func madeHash(_ number: UInt64, _ branch: UInt8 = 0) -> Hash32 {
    var bytes = [UInt8](repeating: branch, count: 32)
    for at in 0..<8 { bytes[at] = UInt8(truncatingIfNeeded: number >> UInt64(8 * at)) }
    return Hash32(bytes) ?? .zero
}

@Suite struct ChainFollowerTests {
    private typealias Event = ChainFollower.Event
    private typealias Mark = ChainFollower.Mark

    private func ref(_ number: UInt64, _ branch: UInt8 = 0) -> BlockRef { BlockRef(number: number, hash: madeHash(number, branch)) }

    /// A block whose parent is on `from`; the same branch unless said.
    private func block(_ number: UInt64, _ branch: UInt8 = 0, from parent: UInt8? = nil) -> Event {
        .block(ref(number, branch), parentHash: madeHash(number &- 1, parent ?? branch))
    }

    private func header(_ number: UInt64, _ branch: UInt8 = 0, from parent: UInt8? = nil) -> Event {
        .header(ref(number, branch), parentHash: madeHash(number &- 1, parent ?? branch))
    }

    /// A follower that accepted the blocks of branch 0 in a range.
    private func follower(_ range: ClosedRange<UInt64>, depth: UInt64 = 10) -> ChainFollower {
        var follower = ChainFollower(position: nil, start: range.lowerBound, finalityDepth: depth)
        for number in range { #expect(follower.on(block(number)).first == .accept(ref(number))) }
        return follower
    }

    @Test("blocks that extend the chain are accepted, and all but the next are told apart")
    func extends() {
        var follower = ChainFollower(position: nil, start: 5, finalityDepth: 10)
        #expect(follower.next == 5)
        #expect(follower.on(block(6)) == [.ignore(ref(6), .outOfOrder)])
        #expect(follower.on(block(5)) == [.accept(ref(5))])
        #expect(follower.on(block(6)) == [.accept(ref(6))])
        #expect(follower.on(block(6)) == [.ignore(ref(6), .duplicate)])
        #expect(follower.on(block(8)) == [.ignore(ref(8), .outOfOrder)])
        #expect(follower.on(header(6)) == [.ignore(ref(6), .unsolicited)])
        #expect(follower.next == 7)
        var anywhere = ChainFollower(position: nil, finalityDepth: 10)
        #expect(anywhere.next == nil)
        #expect(anywhere.on(block(900)).first == .accept(ref(900)))
    }

    @Test("a reorg of any depth down to finality is one rollback to the common ancestor", arguments: 1...10)
    func depths(depth: UInt64) {
        var follower = follower(100...130)
        #expect(follower.finalized == 120)
        let ancestor = 130 - depth
        var actions = follower.on(block(131, 1))
        var number: UInt64 = 130
        while number > ancestor {
            #expect(actions == [.fetchHeader(number: number, hash: madeHash(number, 1))])
            #expect(follower.isWalkingBack)
            #expect(follower.on(block(131, 1)) == [.ignore(ref(131, 1), .walkingBack)])
            actions = follower.on(header(number, 1, from: number - 1 == ancestor ? 0 : 1))
            number -= 1
        }
        #expect(actions == [.rollback(to: ref(ancestor))])
        #expect(!follower.isWalkingBack && follower.next == ancestor + 1)
        #expect(follower.on(block(ancestor + 1, 1, from: 0)) == [.accept(ref(ancestor + 1, 1))])
    }

    @Test("a reorg below finality halts with both hashes, and nothing moves it again")
    func beyondFinality() {
        var follower = follower(100...130)
        _ = follower.on(block(131, 1))
        for number in (122...130).reversed() as [UInt64] { _ = follower.on(header(number, 1)) }
        #expect(follower.on(header(121, 1)) == [.fetchHeader(number: 120, hash: nil)])
        let reorg = ReorgBeyondFinality(number: 120, ours: madeHash(120), theirs: madeHash(120, 1), finalized: 120)
        #expect(follower.on(header(120, 1)) == [.halt(reorg)])
        #expect(follower.on(block(131)) == [.ignore(ref(131), .halted)])
        #expect(follower.on(.head(latest: Mark(number: 140), finalized: nil)).isEmpty)
        #expect(reorg.error.class == .pause)
        #expect(reorg.error.description.contains(madeHash(120).description))
        #expect(reorg.error.description.contains(madeHash(120, 1).description))
    }

    @Test("one bad block over a final one is not a reorg")
    func badBlock() {
        var follower = follower(100...105)
        _ = follower.on(.head(latest: Mark(number: 1000), finalized: Mark(number: 900)))
        #expect(follower.on(block(106)) == [.accept(ref(106)), .finalized(106)])
        #expect(follower.on(block(107, 1)) == [.fetchHeader(number: 106, hash: nil)])
        #expect(follower.on(header(106)) == [.ignore(ref(107, 1), .contradicted)])
        #expect(follower.on(block(107)) == [.accept(ref(107)), .finalized(107)])
    }

    @Test("a head of another hash at our height starts the walk; the same or a lower head of ours does not")
    func headHash() {
        var follower = follower(100...110)
        #expect(follower.on(.head(latest: Mark(number: 107, hash: madeHash(107)), finalized: nil)).isEmpty)
        #expect(follower.on(.head(latest: Mark(number: 3, hash: madeHash(3, 9)), finalized: nil)).isEmpty)
        #expect(
            follower.on(.head(latest: Mark(number: 110, hash: madeHash(110, 1)), finalized: nil))
                == [.fetchHeader(number: 110, hash: madeHash(110, 1))])
        #expect(follower.on(header(110, 1, from: 0)) == [.rollback(to: ref(109))])
        #expect(follower.next == 110)
    }

    @Test("a branch that vanishes while walking back ends the walk; the next block begins it again")
    func vanished() {
        var follower = follower(100...110)
        _ = follower.on(block(111, 1))
        #expect(follower.on(.headerUnavailable(number: 110)).isEmpty)
        #expect(!follower.isWalkingBack)
        // Back on the original branch: nothing was undone.
        #expect(follower.on(block(111)) == [.accept(ref(111)), .finalized(101)])
        // An answer by number that shows our own block.
        _ = follower.on(block(112, 1))
        #expect(follower.on(header(111)).isEmpty)
        // An answer by number from a third branch is followed down.
        _ = follower.on(block(112, 1))
        #expect(follower.on(header(111, 2)) == [.fetchHeader(number: 110, hash: madeHash(110, 2))])
        #expect(follower.on(header(110, 2, from: 0)) == [.rollback(to: ref(109))])
    }

    @Test("a reorg within a reorg, and back to the original branch")
    func nested() {
        var follower = follower(100...110)
        _ = follower.on(block(111, 1))
        #expect(follower.on(header(110, 1, from: 0)) == [.rollback(to: ref(109))])
        #expect(follower.on(block(110, 1, from: 0)).first == .accept(ref(110, 1)))
        _ = follower.on(block(111, 2))
        _ = follower.on(header(110, 2))
        #expect(follower.on(header(109, 2, from: 0)) == [.rollback(to: ref(108))])
        #expect(follower.on(block(109)).first == .accept(ref(109)))
        #expect(follower.on(block(110)).first == .accept(ref(110)))
    }

    @Test("a reorg at the first block rolls back to the block before it, and no further")
    func start() {
        var follower = follower(100...101)
        _ = follower.on(block(102, 1))
        _ = follower.on(header(101, 1))
        #expect(follower.on(header(100, 1)) == [.rollback(to: ref(99, 1))])
        #expect(follower.on(block(100, 2)) == [.rollback(to: ref(99, 2))])
        #expect(follower.on(block(100, 2)).first == .accept(ref(100, 2)))
    }

    @Test("after a restart the stored tail finds the ancestor")
    func restartWithTail() {
        var follower = ChainFollower(
            position: ref(110), start: 100, finalityDepth: 10, finalized: 103, knownTail: (100...110).map { ref($0) })
        _ = follower.on(block(111, 1))
        _ = follower.on(header(110, 1))
        #expect(follower.on(header(109, 1, from: 0)) == [.rollback(to: ref(108))])
    }

    @Test("a stored tail of another branch is not believed")
    func foreignTail() {
        var follower = ChainFollower(position: ref(110), finalityDepth: 10, knownTail: (100...110).map { ref($0, 3) })
        _ = follower.on(block(111, 1))
        #expect(follower.on(header(110, 1)) == [.fetchHeader(number: 110, hash: madeHash(110))])
    }

    @Test("after a restart without a tail the upstream is asked for our own orphans")
    func restartByAsking() {
        var follower = ChainFollower(position: ref(110), finalityDepth: 10)
        #expect(follower.finalized == 100)
        #expect(follower.on(block(111, 1)) == [.fetchHeader(number: 110, hash: madeHash(110, 1))])
        #expect(follower.on(header(110, 1)) == [.fetchHeader(number: 110, hash: madeHash(110))])
        #expect(follower.on(header(110)) == [.fetchHeader(number: 109, hash: madeHash(109, 1))])
        #expect(follower.on(header(109, 1, from: 0)) == [.fetchHeader(number: 109, hash: madeHash(109))])
        #expect(follower.on(header(109)) == [.rollback(to: ref(108))])
    }

    @Test("orphans that the upstream has forgotten lead down to what is final, or to the start")
    func restartForgotten() {
        var follower = ChainFollower(position: ref(110), finalityDepth: 10)
        _ = follower.on(block(111, 1))
        _ = follower.on(header(110, 1))
        #expect(follower.on(.headerUnavailable(number: 110)) == [.fetchHeader(number: 100, hash: nil)])
        #expect(follower.on(header(100)) == [.rollback(to: ref(100))])
        #expect(follower.next == 101)

        var young = ChainFollower(position: ref(110), start: 109, finalityDepth: 10)
        _ = young.on(block(111, 1))
        _ = young.on(header(110, 1))
        #expect(young.on(.headerUnavailable(number: 110)) == [.fetchHeader(number: 108, hash: nil)])
        #expect(young.on(header(108)) == [.rollback(to: ref(108))])
    }

    @Test("without a tag, blocks are final at their depth, and never again open")
    func finalityByDepth() {
        var follower = ChainFollower(position: nil, start: 100, finalityDepth: 3)
        var finals: [UInt64] = []
        _ = follower.on(.head(latest: Mark(number: 104), finalized: nil))
        for number in 100...106 as ClosedRange<UInt64> {
            for case .finalized(let final) in follower.on(block(number)) { finals.append(final) }
        }
        #expect(finals == [100, 101, 102, 103])
        _ = follower.on(.head(latest: Mark(number: 90), finalized: nil))
        #expect(follower.finalized == 103)
    }

    @Test(
        "the tag rules while it is plausible",
        arguments: [
            // Honest: the tag, though the depth alone would say 190.
            (UInt64(200), UInt64(185), UInt64(185)),
            // Stalled: twice the depth.
            (200, 120, 180),
            // Ahead of the head: the depth.
            (200, 230, 190),
        ])
    func tag(latest: UInt64, tag: UInt64, final: UInt64) {
        var follower = ChainFollower(position: ref(198), finalityDepth: 10, finalized: 150)
        #expect(follower.on(.head(latest: Mark(number: latest), finalized: Mark(number: tag))).isEmpty)
        #expect(follower.on(block(199)) == [.accept(ref(199)), .finalized(final)])
        // A tag that goes back takes nothing back.
        _ = follower.on(.head(latest: Mark(number: latest), finalized: Mark(number: tag - 20)))
        _ = follower.on(block(200))
        #expect(follower.finalized == final)
    }

    @Test("a tag on our own block is proof at once; a tag on another block is none")
    func tagHash() {
        var follower = follower(100...110)
        #expect(follower.on(.head(latest: Mark(number: 110), finalized: Mark(number: 106, hash: madeHash(106)))) == [.finalized(106)])
        #expect(follower.on(.head(latest: Mark(number: 111), finalized: Mark(number: 108, hash: madeHash(108, 1)))).isEmpty)
        #expect(follower.on(block(111)) == [.accept(ref(111))])
    }

    @Test("a tag ahead of the head does not become true when the head gets there")
    func lyingTag() {
        var follower = follower(100...110)
        _ = follower.on(.head(latest: Mark(number: 110), finalized: Mark(number: 112)))
        for number in 111...113 as ClosedRange<UInt64> {
            #expect(follower.on(block(number)) == [.accept(ref(number)), .finalized(number - 10)])
        }
    }

    @Test("a head below the start replaces the block before it")
    func belowStart() {
        var follower = follower(100...101)
        _ = follower.on(block(102, 1))
        _ = follower.on(header(101, 1))
        _ = follower.on(header(100, 1))
        _ = follower.on(.head(latest: Mark(number: 99, hash: madeHash(99, 2)), finalized: nil))
        #expect(follower.on(header(99, 2)) == [.rollback(to: ref(99, 2))])
        #expect(follower.next == 100)
    }

    @Test("what was followed before a long sleep is not final because time went by")
    func sleep() {
        var follower = follower(100...110)
        // Blocks 109 and 110 were orphaned during the sleep, and the tag is far ahead now.
        #expect(follower.on(.head(latest: Mark(number: 500), finalized: Mark(number: 430))).isEmpty)
        #expect(follower.on(block(111, 1)) == [.fetchHeader(number: 110, hash: madeHash(110, 1))])
        _ = follower.on(header(110, 1))
        #expect(follower.on(header(109, 1, from: 0)) == [.rollback(to: ref(108))])
        #expect(follower.on(block(109, 1, from: 0)) == [.accept(ref(109, 1)), .finalized(109)])
    }
}
