public import SluiceCore

/// Follows one chain: says which offered blocks extend it, finds the common ancestor after a reorg, and what is final.
///
/// Pure: the driver polls and fetches, tells what it got with ``on(_:)``, and does what the returned actions say, in order.
/// The rows of a block may flow downstream when, and only when, its `accept` came.
///
/// What the driver does, over and over:
///
/// 1. Ask the head (and the `finalized` tag, where there is one) and tell `.head`. The hash of the head is worth having: with
///    it a reorg shows that does not make the chain longer.
/// 2. Fetch block ``next`` when the head is not below it, and tell `.block`. Blocks that were fetched ahead are told in order;
///    after a `rollback`, and after an `ignore`, what was fetched ahead is thrown away and ``next`` is fetched anew.
/// 3. On `fetchHeader`, fetch that header and tell `.header`; by hash when one is given, because the branch may be orphaned
///    again by now (an answer by number is understood too). When the upstream does not know it, tell `.headerUnavailable`. No
///    block is needed while ``isWalkingBack``.
/// 4. When an event gave no action, nothing is to be done until the next poll.
///
///     var follower = ChainFollower(position: stored, start: 100, finalityDepth: 65)
///     for action in follower.on(.block(BlockRef(number: 7, hash: h7), parentHash: h6)) {
///         switch action {
///         case .accept(let block): await egress.send(.batch(rows(of: block)))
///         case .rollback(let position): await egress.send(.rollback(to: position))
///         case .finalized(let number): await egress.send(.finalized(number))
///         case .fetchHeader(let number, let hash): fetch(number, hash)
///         case .halt(let reorg): throw reorg.error
///         case .ignore(let block, let why): count(block, why)
///         }
///     }
///
/// **Finality** never goes back. With a `finalized` tag it is the tag, as long as that is not ahead of the head and not more
/// than twice `finalityDepth` behind it (then it counts as stalled, and twice the depth holds); without one it is
/// `finalityDepth` blocks below the head. A number alone makes only those blocks final that were accepted after it was told,
/// or that such a block descends from: what was followed before the process slept may be orphaned, however old.
///
/// A block that disputes what is final is not believed at once: the follower asks the upstream for its canonical block at that
/// height, and halts only when that differs too.
///
/// **After a restart** only the last block is known, or what `knownTail` gives. When the common ancestor is below that, the
/// follower asks the upstream for its own orphaned blocks, by hash, to learn their parents. When the upstream has forgotten
/// them, it rolls back to the highest height that is common by definition: what was final, or the block before `start`.
public struct ChainFollower: Sendable {
    /// How many blocks behind the head a block is final where the chain does not say.
    public let finalityDepth: UInt64
    /// Everything up to here is final; nil when nothing is known yet. Only grows.
    public private(set) var finalized: UInt64?

    /// What we followed, one block behind the other, from the last final one (or as far down as known) to the head.
    private var tail: [BlockRef] = []
    /// The first block that belongs to us: nothing is ever accepted below it.
    private var start: UInt64?
    private var latest: UInt64?
    private var tag: Mark?
    private var state = State.following

    private enum State {
        case following
        /// Waits for a header of the other branch.
        case askedTheirs(BlockRef)
        /// Waits for the header of our own oldest block, to compare its parent with the parent of `theirs`.
        case askedOurs(BlockRef, theirs: BlockRef, parent: Hash32)
        /// Waits for the upstream's block at a height that is common by definition.
        case askedFloor(UInt64)
        /// Waits for the upstream's word on our final block, which a child of another parent disputes.
        case askedFinal(BlockRef, disputedBy: BlockRef)
        case halted
    }

    /// - Parameters:
    ///   - position: the last block whose rows are stored; nil to begin.
    ///   - start: the first block ever followed: rollbacks do not go below its parent. Nil: the first one offered, or unknown.
    ///   - finalityDepth: see above.
    ///   - finalized: what was final when the position was stored; nil takes `finalityDepth` below the position.
    ///   - knownTail: stored blocks up to the position, in any order.
    public init(
        position: Position?, start: UInt64? = nil, finalityDepth: UInt64, finalized: UInt64? = nil, knownTail: [BlockRef] = []
    ) {
        self.finalityDepth = finalityDepth
        self.start = start
        self.finalized = finalized
        guard let position else { return }
        self.finalized = min(finalized ?? (position.number - min(finalityDepth, position.number)), position.number)
        tail = [position]
        let known = Dictionary(knownTail.map { ($0.number, $0) }, uniquingKeysWith: { first, _ in first })
        // A tail that contradicts the position belongs to another branch, and tells nothing.
        if let same = known[position.number], same != position { return }
        var below: [BlockRef] = []
        var number = position.number
        while number > 0, let block = known[number - 1] {
            below.append(block)
            number -= 1
        }
        tail.insert(contentsOf: below.reversed(), at: 0)
        trim()
    }

    /// The last block that was accepted, or the position begun or rolled back to.
    public var head: BlockRef? { tail.last }

    /// The block to offer; nil when any will do, because nothing says where to begin.
    public var next: UInt64? { head.map { $0.number + 1 } ?? start }

    /// Whether a reorg is being looked into: a `fetchHeader` is not answered yet.
    public var isWalkingBack: Bool {
        switch state {
        case .askedTheirs, .askedOurs, .askedFloor, .askedFinal: true
        case .following, .halted: false
        }
    }

    /// Takes what the driver learned, and says what to do about it, in order.
    public mutating func on(_ event: Event) -> [Action] {
        switch event {
        case .block(let block, let parent): offered(block, parent: parent)
        case .head(let latest, let finalized): noted(latest, finalized: finalized)
        case .header(let header, let parent): fetched(header, parent: parent)
        case .headerUnavailable(let number): unavailable(number)
        }
    }

    // MARK: what is offered

    private mutating func offered(_ block: BlockRef, parent: Hash32) -> [Action] {
        switch state {
        case .halted: return [.ignore(block, .halted)]
        case .askedTheirs, .askedOurs, .askedFloor, .askedFinal: return [.ignore(block, .walkingBack)]
        case .following: break
        }
        guard let head else {
            guard start == nil || start == block.number else { return [.ignore(block, .outOfOrder)] }
            start = block.number
            return accept(block)
        }
        if block.number == head.number + 1 { return parent == head.hash ? accept(block) : compare(block, parent: parent) }
        if block.number > head.number { return [.ignore(block, .outOfOrder)] }
        guard let ours = known(block.number) else { return [.ignore(block, .behindFinality)] }
        if ours == block { return [.ignore(block, .duplicate)] }
        guard !isFinal(block.number) else { return [.ignore(block, .behindFinality)] }
        return compare(block, parent: parent)
    }

    private mutating func accept(_ block: BlockRef) -> [Action] {
        tail.append(block)
        return [.accept(block)] + raise(to: finalTarget(accepting: block.number))
    }

    private mutating func noted(_ latest: Mark, finalized: Mark?) -> [Action] {
        self.latest = latest.number
        // Judged now: a tag ahead of the head does not become true when the head gets there.
        tag = finalized.flatMap { $0.number <= latest.number ? $0 : nil }
        guard case .following = state else { return [] }
        if let hash = latest.hash, let ours = known(latest.number), ours.hash != hash, !isFinal(latest.number) {
            return ask(BlockRef(number: latest.number, hash: hash))
        }
        // Our own block under the tag: proof enough for all below it. A tag without that waits for the next accepted block.
        if let tag, let hash = tag.hash, known(tag.number)?.hash == hash {
            return raise(to: tag.number)
        }
        return []
    }

    // MARK: walking back

    private mutating func fetched(_ header: BlockRef, parent: Hash32) -> [Action] {
        switch state {
        case .askedTheirs(let asked) where asked.number == header.number:
            state = .following
            // Asked by number and answered from our own branch: the reorg was undone in between. The next block will tell.
            return known(header.number) == header ? [] : compare(header, parent: parent)
        case .askedOurs(let asked, let theirs, let theirParent) where asked.number == header.number:
            guard asked == header else { return toFloor(below: theirs, parent: theirParent) }
            state = .following
            tail.insert(BlockRef(number: header.number - 1, hash: parent), at: 0)
            return compare(theirs, parent: theirParent)
        case .askedFloor(let number) where number == header.number:
            return cut(to: header)
        case .askedFinal(let ours, let disputant) where ours.number == header.number:
            // One bad block is no reorg: the endpoint that sent it is at fault, and the next try may do better.
            guard ours == header else { return halt(at: ours.number, ours: ours.hash, theirs: header.hash) }
            state = .following
            return [.ignore(disputant, .contradicted)]
        case .halted: return [.ignore(header, .halted)]
        case .following, .askedTheirs, .askedOurs, .askedFloor, .askedFinal: return [.ignore(header, .unsolicited)]
        }
    }

    private mutating func unavailable(_ number: UInt64) -> [Action] {
        switch state {
        case .askedTheirs(let asked) where asked.number == number: state = .following
        case .askedFloor(number): state = .following
        case .askedFinal(let ours, _) where ours.number == number: state = .following
        case .askedOurs(let asked, let theirs, let parent) where asked.number == number: return toFloor(below: theirs, parent: parent)
        case .following, .askedTheirs, .askedOurs, .askedFloor, .askedFinal, .halted: break
        }
        return []
    }

    /// One step down: a block of the other branch, which is not ours, and the hash of its parent.
    private mutating func compare(_ theirs: BlockRef, parent: Hash32) -> [Action] {
        guard theirs.number > 0 else {
            return halt(at: 0, ours: known(0)?.hash ?? .zero, theirs: theirs.hash)
        }
        let below = BlockRef(number: theirs.number - 1, hash: parent)
        // Below our first block there is nothing of ours to compare.
        if let start, theirs.number <= start { return cut(to: theirs.number == start ? below : theirs) }
        if let ours = known(below.number) {
            if ours == below { return cut(to: ours) }
            if isFinal(below.number) {
                state = .askedFinal(ours, disputedBy: theirs)
                return [.fetchHeader(number: ours.number, hash: nil)]
            }
            return ask(below)
        }
        guard let oldest = tail.first, oldest.number == theirs.number else {
            // Cannot be: blocks at or above the oldest known are known up to the head.
            return toFloor(below: theirs, parent: parent)
        }
        state = .askedOurs(oldest, theirs: theirs, parent: parent)
        return [.fetchHeader(number: oldest.number, hash: oldest.hash)]
    }

    private mutating func ask(_ block: BlockRef) -> [Action] {
        state = .askedTheirs(block)
        return [.fetchHeader(number: block.number, hash: block.hash)]
    }

    /// Our branch below the oldest known block cannot be learned: goes down to where both are the same by definition.
    private mutating func toFloor(below theirs: BlockRef, parent: Hash32) -> [Action] {
        let floor = max(finalized ?? 0, start.map { $0 - min($0, 1) } ?? 0)
        if floor + 1 >= theirs.number { return cut(to: BlockRef(number: theirs.number - 1, hash: parent)) }
        state = .askedFloor(floor)
        return [.fetchHeader(number: floor, hash: nil)]
    }

    /// Goes on from a common ancestor.
    private mutating func cut(to ancestor: BlockRef) -> [Action] {
        state = .following
        if head == ancestor { return [] }
        tail.removeAll { $0.number >= ancestor.number }
        tail.append(ancestor)
        return [.rollback(to: ancestor)]
    }

    private mutating func halt(at number: UInt64, ours: Hash32, theirs: Hash32) -> [Action] {
        state = .halted
        return [.halt(ReorgBeyondFinality(number: number, ours: ours, theirs: theirs, finalized: finalized ?? 0))]
    }

    // MARK: finality

    private func isFinal(_ number: UInt64) -> Bool { finalized.map { number <= $0 } ?? false }

    /// Up to where the chain is final, seen when block `number` extends it; nil when nothing is.
    private func finalTarget(accepting number: UInt64) -> UInt64? {
        let latest = max(latest ?? 0, number)
        func behind(_ depth: UInt64) -> UInt64? { latest >= depth ? latest - depth : nil }
        guard let tag else { return behind(finalityDepth).map { min($0, number) } }
        let twice = finalityDepth.multipliedReportingOverflow(by: 2)
        let stalled = behind(twice.overflow ? .max : twice.partialValue)
        // A tag that contradicts the chain we are on proves nothing about it.
        let contradicts = tag.hash.flatMap { hash in known(tag.number).map { $0.hash != hash } } ?? false
        let target = contradicts ? stalled : max(tag.number, stalled ?? 0)
        return target.map { min($0, number) }
    }

    private mutating func raise(to number: UInt64?) -> [Action] {
        guard let number, finalized.map({ number > $0 }) ?? true else { return [] }
        finalized = number
        trim()
        return [.finalized(number)]
    }

    /// Forgets what is below the last final block.
    private mutating func trim() {
        guard let finalized, let oldest = tail.first, oldest.number < finalized else { return }
        tail.removeFirst(min(Int(finalized - oldest.number), tail.count - 1))
    }

    private func known(_ number: UInt64) -> BlockRef? {
        guard let oldest = tail.first, let head, number >= oldest.number, number <= head.number else { return nil }
        return tail[Int(number - oldest.number)]
    }
}
