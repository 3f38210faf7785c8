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
    /// At least one.
    public let blocks: [BlockStamp]

    public init(first: UInt64, parentHash: Hash32, blocks: [BlockStamp]) {
        precondition(!blocks.isEmpty, "a span without blocks")
        self.first = first
        self.parentHash = parentHash
        self.blocks = blocks
    }

    /// How many blocks.
    public var count: Int { blocks.count }

    /// The last block.
    public var last: BlockRef { BlockRef(number: first + UInt64(blocks.count - 1), hash: blocks[blocks.count - 1].hash) }

    /// Seconds since 1970 of the last block.
    public var lastTimestamp: UInt64 { blocks[blocks.count - 1].timestamp }

    /// The hash of a block of the span, or of the parent of the first.
    public func hash(_ number: UInt64) -> Hash32 { number < first ? parentHash : blocks[Int(number - first)].hash }

    /// The blocks up to `number`, which must be one of them.
    public func through(_ number: UInt64) -> Span {
        Span(first: first, parentHash: parentHash, blocks: Array(blocks[...Int(number - first)]))
    }

    /// The blocks behind `number`, which must be one of them and not the last.
    public func behind(_ number: UInt64) -> Span {
        Span(first: number + 1, parentHash: hash(number), blocks: Array(blocks[(Int(number - first) + 1)...]))
    }
}
