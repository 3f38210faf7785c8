public import SluiceCore

#if canImport(Glibc)
    import Glibc
#endif

/// Writes RLP, the encoding under every hash of the chain. Items are appended in order; a list is what its closure appends:
///
///     var rlp = RLP()
///     rlp.list {
///         $0.append(integer: nonce)
///         $0.append(bytes: to)
///     }
///     let hash = Keccak256.hash(rlp.bytes)
public struct RLP: Sendable {
    /// What was written so far.
    public private(set) var bytes: [UInt8] = []

    /// An empty encoding, with room for `capacity` bytes.
    public init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    /// Forgets what was written and keeps the memory.
    public mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    /// Appends a string of bytes.
    public mutating func append(bytes string: UnsafeRawBufferPointer) {
        if string.count == 1, string[0] < 0x80 {
            bytes.append(string[0])
        } else {
            appendPrefix(count: string.count, short: 0x80)
            bytes.append(contentsOf: string)
        }
    }

    /// Appends a string of bytes.
    public mutating func append(bytes string: [UInt8]) { string.withUnsafeBytes { append(bytes: $0) } }

    /// Appends a string of no bytes: zero, an absent address, an absent root.
    public mutating func appendEmpty() { bytes.append(0x80) }

    /// Appends 32 bytes, leading zeros and all.
    public mutating func append(hash: Hash32) { hash.withBytes { append(bytes: $0) } }

    /// Appends an integer: big endian, no leading zeros, zero is the empty string.
    public mutating func append(integer value: UInt64) {
        if value < 0x80 {
            bytes.append(value == 0 ? 0x80 : UInt8(value))
        } else {
            withUnsafeBytes(of: value.bigEndian) { append(bigEndian: $0) }
        }
    }

    /// Appends an integer of up to 128 bits.
    public mutating func append(integer value: UInt128) { withUnsafeBytes(of: value.bigEndian) { append(bigEndian: $0) } }

    /// Appends an integer of up to 256 bits.
    public mutating func append(integer value: UInt256) {
        // Two halves, most significant first, are the 32 bytes in order.
        withUnsafeBytes(of: (value.high.bigEndian, value.low.bigEndian)) { append(bigEndian: $0) }
    }

    /// Appends an integer given as bytes, most significant first; leading zeros are taken off.
    public mutating func append(bigEndian digits: UnsafeRawBufferPointer) {
        let first = digits.firstIndex { $0 != 0 } ?? digits.count
        append(bytes: UnsafeRawBufferPointer(rebasing: digits[first...]))
    }

    /// Appends an integer given as bytes, most significant first; leading zeros are taken off.
    public mutating func append(bigEndian digits: [UInt8]) { digits.withUnsafeBytes { append(bigEndian: $0) } }

    /// Appends bytes that are encoded already, or that stand outside the encoding (the type byte of a transaction).
    public mutating func append(encoded: [UInt8]) { bytes.append(contentsOf: encoded) }

    /// Appends a list of what `body` appends.
    public mutating func list(_ body: (inout RLP) throws -> Void) rethrows {
        let start = bytes.count
        try body(&self)
        let count = bytes.count - start
        // The prefix depends on the length of what follows, so it is put in front when that is known: one move, no copy of the list.
        let prefix = Self.prefixCount(count)
        bytes.append(contentsOf: repeatElement(0, count: prefix))
        bytes.withUnsafeMutableBytes { all in
            guard let base = all.baseAddress else { return }
            memmove(base + start + prefix, base + start, count)
            Self.writePrefix(count: count, short: 0xC0, into: UnsafeMutableRawBufferPointer(rebasing: all[start..<start + prefix]))
        }
    }

    private mutating func appendPrefix(count: Int, short: UInt8) {
        if count < 56 {
            bytes.append(short + UInt8(count))
        } else {
            let start = bytes.count
            let prefix = Self.prefixCount(count)
            bytes.append(contentsOf: repeatElement(0, count: prefix))
            bytes.withUnsafeMutableBytes {
                Self.writePrefix(count: count, short: short, into: UnsafeMutableRawBufferPointer(rebasing: $0[start...]))
            }
        }
    }

    /// Bytes the prefix of `count` bytes takes.
    private static func prefixCount(_ count: Int) -> Int { count < 56 ? 1 : 1 + significantBytes(count) }

    private static func significantBytes(_ count: Int) -> Int { (Int.bitWidth - count.leadingZeroBitCount + 7) / 8 }

    private static func writePrefix(count: Int, short: UInt8, into target: UnsafeMutableRawBufferPointer) {
        if count < 56 {
            target[0] = short + UInt8(count)
        } else {
            let size = significantBytes(count)
            target[0] = short + 55 + UInt8(size)
            for at in 0..<size { target[1 + at] = UInt8(truncatingIfNeeded: count >> (8 * (size - 1 - at))) }
        }
    }
}
