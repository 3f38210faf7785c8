/// A hash over texts and numbers that says whether two things were set up alike (FNV-1a, 128 bits). It is the same in every process
/// and every version, and no protection against somebody who wants two of them to be equal.
public struct Fingerprint: Hashable, Sendable, CustomStringConvertible, BitwiseCopyable {
    private var state: UInt128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d

    /// The hash as a number.
    public var value: UInt128 { state }

    /// Of nothing.
    public init() {}

    /// Adds bytes as they are.
    public mutating func add(bytes: some Sequence<UInt8>) {
        for byte in bytes { state = (state ^ UInt128(byte)) &* 0x0000_0000_0100_0000_0000_0000_0000_013B }
    }

    /// Adds a number.
    public mutating func add(_ number: Int) {
        add(bytes: (0..<8).map { UInt8(truncatingIfNeeded: UInt64(bitPattern: Int64(number)) >> (8 * (7 - $0))) })
    }

    /// Adds a text and how long it is, so that "ab", "c" is not "a", "bc".
    public mutating func add(_ text: String) {
        add(text.utf8.count)
        add(bytes: text.utf8)
    }

    /// 32 lower-case digits.
    public var description: String {
        let digits = String(state, radix: 16)
        return String(repeating: "0", count: 32 - digits.count) + digits
    }
}
