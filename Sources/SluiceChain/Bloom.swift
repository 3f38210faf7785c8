import CKeccak
public import SluiceCore

/// The 2048 bits in which a receipt or a block says which addresses and topics its logs may hold.
public struct Bloom: Hashable, Sendable {
    /// Bytes of a bloom.
    public static let byteCount = Int(CK_BLOOM_BYTES)

    /// The 256 bytes as the chain writes them: bit 0 is the lowest of the last byte.
    public private(set) var bytes: [UInt8]

    /// The bloom of no logs.
    public init() { bytes = [UInt8](repeating: 0, count: Self.byteCount) }

    /// From exactly 256 bytes; nil for another count.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = Array(bytes)
    }

    /// Sets the three bits of a hash: that of an address or of a topic.
    public mutating func insert(_ hash: Hash32) {
        hash.withBytes { source in
            bytes.withUnsafeMutableBufferPointer { target in
                ck_bloom_set(target.baseAddress, source.baseAddress?.assumingMemoryBound(to: UInt8.self))
            }
        }
    }

    /// Sets the bits of an address or of a topic, given as its bytes.
    public mutating func insert(hashing value: [UInt8]) { insert(Keccak256.hash(value)) }

    /// Sets every bit that is set in the other.
    public mutating func formUnion(_ other: Bloom) {
        for at in bytes.indices { bytes[at] |= other.bytes[at] }
    }

    /// Whether every bit that is set in the other is set here.
    public func contains(_ other: Bloom) -> Bool { zip(bytes, other.bytes).allSatisfy { $0 & $1 == $1 } }
}
