import CKeccak
public import SluiceCore

/// Keccak-256 with Ethereum's padding (not SHA-3's): the hash of blocks, transactions, topics and trie nodes.
public enum Keccak256 {
    /// The hash of some bytes.
    public static func hash(_ bytes: UnsafeRawBufferPointer) -> Hash32 {
        var hash = Hash32.zero
        withUnsafeMutableBytes(of: &hash) { target in
            ck_keccak256(
                bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count,
                target.baseAddress?.assumingMemoryBound(to: UInt8.self))
        }
        return hash
    }

    /// The hash of an array's bytes.
    public static func hash(_ bytes: [UInt8]) -> Hash32 { bytes.withUnsafeBytes { hash($0) } }

    /// The hash of a text's UTF-8, as event signatures and function selectors need it.
    public static func hash(_ text: String) -> Hash32 { hash(Array(text.utf8)) }
}

extension Keccak256 {
    /// Longest input that ``hashes(ofShort:lanes:)`` takes, in bytes.
    public static let shortMax = Int(CK_SHORT_MAX)

    /// How many short inputs this processor hashes at a time: 1, 4 or 8.
    public static var lanes: Int { Int(ck_keccak_lanes()) }

    /// The hashes of many short inputs, hashed side by side. `lanes` chooses a width, for tests; nil takes the widest.
    /// Returns nil when an input is longer than ``shortMax``, or when the processor does not have that width.
    public static func hashes(ofShort inputs: [[UInt8]], lanes: Int? = nil) -> [Hash32]? {
        guard inputs.allSatisfy({ $0.count <= shortMax }) else { return nil }
        // One block of memory for all, because the C side takes addresses.
        let joined = inputs.flatMap { $0 }
        let lengths = inputs.map { UInt8($0.count) }
        var hashes = [Hash32](repeating: .zero, count: inputs.count)
        let status = joined.withUnsafeBufferPointer { bytes in
            var addresses: [UnsafePointer<UInt8>?] = []
            addresses.reserveCapacity(inputs.count)
            var at = 0
            for length in lengths {
                addresses.append(bytes.baseAddress.map { $0 + at })
                at += Int(length)
            }
            return hashes.withUnsafeMutableBytes { target in
                ck_keccak256_many_lanes(
                    Int32(lanes ?? self.lanes), addresses, lengths, inputs.count,
                    target.baseAddress?.assumingMemoryBound(to: UInt8.self))
            }
        }
        return status == 0 ? hashes : nil
    }
}
