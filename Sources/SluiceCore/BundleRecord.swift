/// What must be known of a bundle to go on behind it in another process, and to undo it there: how far each stream had come.
public struct BundleRecord: Hashable, Sendable {
    /// How far one stream had come.
    public struct Mark: Hashable, Sendable {
        /// The last block that is done with, in this bundle or before; nil when there is none.
        public let taken: Position?
        /// The last block that the bundle rests on: `taken`, or one behind it that showed that there was nothing more to wait for.
        public let seen: Position?
        /// Where the stream must be read again from, exclusively, to go on behind the bundle; nil for where it begins.
        public let readFrom: Position?
        /// The block before the first that ever came; nil when none has come, or nothing is before it.
        public let began: Position?
        /// Blocks below this height or time come too late: the wait for them was given up.
        public let lateBelow: UInt64

        public init(taken: Position?, seen: Position?, readFrom: Position?, began: Position?, lateBelow: UInt64) {
            self.taken = taken
            self.seen = seen
            self.readFrom = readFrom
            self.began = began
            self.lateBelow = lateBelow
        }
    }

    public let number: UInt64
    public let hash: Hash32
    /// The bundle before.
    public let parentHash: Hash32
    /// In the order of the streams.
    public let marks: [Mark]

    public init(number: UInt64, hash: Hash32, parentHash: Hash32, marks: [Mark]) {
        self.number = number
        self.hash = hash
        self.parentHash = parentHash
        self.marks = marks
    }

    /// The bundle as a block of its chain.
    public var ref: BlockRef { BlockRef(number: number, hash: hash) }

    /// The records of a bundle and those before it, one behind the other, as far as they are there; records of bundles that were
    /// undone may be among the given. Empty when that of the bundle itself is not there.
    public static func chain(to bundle: BlockRef, among records: [BundleRecord]) -> [BundleRecord] {
        let known = Dictionary(records.map { ($0.ref, $0) }, uniquingKeysWith: { $1 })
        var chain: [BundleRecord] = []
        var next = bundle
        while let record = known[next] {
            chain.append(record)
            guard record.number > 1 else { break }
            next = BlockRef(number: record.number - 1, hash: record.parentHash)
        }
        return chain.reversed()
    }
}
