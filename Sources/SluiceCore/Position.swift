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

/// The blocks that a batch covers, one behind the other.
public struct Span: Hashable, Sendable {
    public let first: UInt64
    /// Hash of the parent of the first block: what must come before.
    public let parentHash: Hash32
    public let last: BlockRef
    /// Seconds since 1970 of the last block.
    public let lastTimestamp: UInt64

    public init(first: UInt64, parentHash: Hash32, last: BlockRef, lastTimestamp: UInt64) {
        precondition(first <= last.number, "a span that ends before it begins")
        self.first = first
        self.parentHash = parentHash
        self.last = last
        self.lastTimestamp = lastTimestamp
    }

    /// How many blocks.
    public var count: Int { Int(last.number - first) + 1 }
}
