import SluiceCore

/// The blocks of one stream that may still be asked for: those that wait, and those in bundles that may be undone.
struct StreamLog: Sendable {
    /// What is known of a block. Apart from the block itself, because it is asked for often, and copies of this cost nothing.
    struct Entry: Sendable {
        let hash: Hash32
        let timestamp: UInt64
        /// The greatest time up to here: blocks whose times go back do not take back what the stream has passed.
        let reached: UInt64
        /// Counts the blocks of all streams as they come.
        let arrival: UInt64
        let since: MonotonicTime
        /// Bytes that it holds, with what every block costs.
        let weight: Int
    }

    private(set) var entries = Ring<Entry>()
    private var blocks = Ring<Batch>()
    /// The block that must come next; nil before anything is known of the stream.
    private(set) var next: UInt64?
    /// The block before `next`, when there is one.
    private var lastHash: Hash32?
    /// The block before the first entry, when it is known.
    private var base: Position?
    /// The block before the first that ever came, when there is one.
    private(set) var began: Position?
    /// Blocks from here on do not count yet: what came after a reorganisation is gone through once more, in the order of its arrival.
    var visible: UInt64 = 0
    /// Everything up to here is final.
    private(set) var finalized: UInt64?
    /// Hashes of blocks that bundles of an earlier process rest on, until they have been read again.
    private var expected: [UInt64: Hash32] = [:]

    init() {}

    /// A stream that is read again behind a position (nil: from where it began), of which some blocks are known already.
    init(readFrom: Position?, began: Position?, expected: [Position]) {
        base = readFrom
        self.began = began
        lastHash = readFrom?.hash
        next = readFrom.map { $0.number + 1 }
        visible = next ?? 0
        for position in expected { self.expected[position.number] = position.hash }
    }

    /// The number of the first entry; without entries, of the block that must come next.
    var first: UInt64 { (next ?? 0) - UInt64(entries.count) }

    /// The first block that waits behind those that are taken; nil when none does.
    func front(taken: UInt64) -> UInt64? {
        let number = max(taken, first)
        return number < visible ? number : nil
    }

    /// An entry by its number, which must be there.
    func entry(_ number: UInt64) -> Entry { entries[Int(number - first)] }

    /// A block by its number, which must be there.
    func batch(_ number: UInt64) -> Batch { blocks[Int(number - first)] }

    func holds(_ number: UInt64) -> Bool { !entries.isEmpty && number >= first && number - first < UInt64(entries.count) }

    /// A block by its number, as far as it is known.
    func ref(_ number: UInt64) -> Position? {
        if holds(number) { return Position(number: number, hash: entry(number).hash) }
        if let base, base.number == number { return base }
        return expected[number].map { Position(number: number, hash: $0) }
    }

    /// Whether a block fits: it is the next one, and descends from the one before.
    @inline(__always) func accepts(_ span: Span) -> Bool {
        guard let next else { return isBeforeExpected(span.first) }
        guard let lastHash else { return span.first == next }
        return span.first == next && lastHash == span.parentHash
    }

    private func isBeforeExpected(_ number: UInt64) -> Bool { expected.keys.allSatisfy { $0 >= number } }

    /// Forgets what an earlier process knew of a block; returns whether it was another block.
    mutating func contradicts(_ number: UInt64, _ hash: Hash32) -> Bool {
        guard !expected.isEmpty, let known = expected.removeValue(forKey: number) else { return false }
        return known != hash
    }

    mutating func append(_ batch: Batch, _ entry: Entry) {
        let number = batch.span.first
        if next == nil, number > 0 {
            base = Position(number: number - 1, hash: batch.span.parentHash)
            began = began ?? base
        }
        entries.append(entry)
        blocks.append(batch)
        next = number + 1
        visible = number + 1
        lastHash = entry.hash
    }

    /// Drops the blocks behind a position.
    mutating func truncate(to position: Position) {
        while !entries.isEmpty, first + UInt64(entries.count) - 1 > position.number { dropLast() }
        if entries.isEmpty { base = position }
        // It went back behind where it began.
        if began.map({ $0.number > position.number }) ?? (next == nil) { began = position }
        next = position.number + 1
        lastHash = position.hash
        visible = min(visible, position.number + 1)
        if !expected.isEmpty { expected = expected.filter { $0.key <= position.number } }
    }

    /// Forgets where it began: none of its blocks stands, and the next one may be any.
    mutating func restart() {
        (next, lastHash, base, began) = (nil, nil, nil, nil)
        visible = 0
    }

    /// Forgets the blocks below a number.
    mutating func prune(below number: UInt64) {
        while !entries.isEmpty, first < number {
            let at = first
            base = Position(number: at, hash: entries.removeFirst().hash)
            _ = blocks.removeFirst()
        }
    }

    mutating func finalize(through number: UInt64) { finalized = max(finalized ?? 0, number) }

    /// Whether everything below a number has come, in this process, and is final.
    func isFinal(below number: UInt64) -> Bool {
        if number == 0 { return true }
        guard let finalized, let next else { return false }
        return number - 1 <= finalized && number <= next
    }

    /// Lets nothing count that came after a moment.
    mutating func hide(after moment: UInt64) { visible = first + UInt64(entries.partition { $0.arrival > moment }) }

    /// When the first block came that does not count yet.
    var hiddenArrival: UInt64? { holds(visible) ? entry(visible).arrival : nil }

    private mutating func dropLast() {
        entries.removeLast()
        blocks.removeLast()
        next = next.map { $0 - 1 }
    }
}
