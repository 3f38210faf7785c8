/// A block, named by number and hash.
public struct BlockRef: Hashable, Sendable, CustomStringConvertible {
    public let number: UInt64
    public let hash: Hash32

    public init(number: UInt64, hash: Hash32) {
        self.number = number
        self.hash = hash
    }

    public var description: String { "\(number) \(hash)" }
}

/// The point up to which something is done: the last block that is included.
public typealias Position = BlockRef

/// What a span knows of each of its blocks.
public struct BlockStamp: Hashable, Sendable {
    public let hash: Hash32
    /// Seconds since 1970.
    public let timestamp: UInt64

    public init(hash: Hash32, timestamp: UInt64) {
        self.hash = hash
        self.timestamp = timestamp
    }
}

/// The blocks that a batch covers, one behind the other, each with its hash and time: a batch may be cut between any two.
public struct Span: Hashable, Sendable {
    public let first: UInt64
    /// Hash of the parent of the first block: what must come before.
    public let parentHash: Hash32
    /// The first block: at the tip a span has no other, and needs no memory beside its own.
    private let head: BlockStamp
    /// All blocks when there are several, else none.
    private let all: [BlockStamp]

    public init(first: UInt64, parentHash: Hash32, blocks: [BlockStamp]) {
        precondition(!blocks.isEmpty, "a span without blocks")
        self.first = first
        self.parentHash = parentHash
        head = blocks[0]
        all = blocks.count > 1 ? blocks : []
    }

    /// Of one block.
    public init(_ number: UInt64, parentHash: Hash32, block: BlockStamp) {
        first = number
        self.parentHash = parentHash
        head = block
        all = []
    }

    /// How many blocks.
    public var count: Int { max(1, all.count) }

    /// At least one.
    public var blocks: [BlockStamp] { all.isEmpty ? [head] : all }

    /// One of the blocks by its place, from 0.
    public func block(_ index: Int) -> BlockStamp { index == 0 ? head : all[index] }

    /// The last block.
    public var last: BlockRef { BlockRef(number: first + UInt64(count - 1), hash: block(count - 1).hash) }

    /// Seconds since 1970 of the last block.
    public var lastTimestamp: UInt64 { block(count - 1).timestamp }

    /// The hash of a block of the span, or of the parent of the first.
    public func hash(_ number: UInt64) -> Hash32 { number < first ? parentHash : block(Int(number - first)).hash }

    /// The blocks up to `number`, which must be one of them.
    public func through(_ number: UInt64) -> Span {
        Span(first: first, parentHash: parentHash, blocks: Array(blocks[...Int(number - first)]))
    }

    /// The blocks behind `number`, which must be one of them and not the last.
    public func behind(_ number: UInt64) -> Span {
        Span(first: number + 1, parentHash: hash(number), blocks: Array(blocks[(Int(number - first) + 1)...]))
    }
}
