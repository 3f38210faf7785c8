/// A UUID of 16 bytes.
public struct UUID128: Hashable, Sendable, Comparable, CustomStringConvertible, BitwiseCopyable {
    // The bytes as a number, the first one most significant.
    private let value: UInt128

    private init(value: UInt128) { self.value = value }

    /// All bytes zero.
    public static let zero = UUID128(value: 0)

    /// A random one (version 4, variant 1 of RFC 9562).
    public init(using random: inout some RandomNumberGenerator) {
        var value = UInt128(random.next() as UInt64) << 64 | UInt128(random.next() as UInt64)
        value = value & ~(0xF << 76) | 0x4 << 76
        self.value = value & ~(0x3 << 62) | 0x2 << 62
    }

    /// From exactly 16 bytes; nil for another count.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        value = bytes.reduce(0) { $0 << 8 | UInt128($1) }
    }

    /// From the canonical text, in capitals too; nil for anything else.
    public init?(_ text: some StringProtocol) {
        let utf8 = Array(text.utf8)
        guard utf8.count == 36, Self.dashes.allSatisfy({ utf8[$0] == UInt8(ascii: "-") }) else { return nil }
        let digits = utf8.indices.filter { !Self.dashes.contains($0) }.map { utf8[$0] }
        guard let bytes = Hex.bytes("0x" + String(decoding: digits, as: UTF8.self)) else { return nil }
        self.init(bytes: bytes)
    }

    private static let dashes = [8, 13, 18, 23]

    public var bytes: [UInt8] { (0..<16).map { UInt8(truncatingIfNeeded: value >> (8 * (15 - $0))) } }

    /// The canonical text: 32 lower-case digits in groups of 8, 4, 4, 4 and 12.
    public var description: String {
        var text = ""
        for (index, digit) in Hex.text(bytes).dropFirst(2).enumerated() {
            if [8, 12, 16, 20].contains(index) { text += "-" }
            text.append(digit)
        }
        return text
    }

    /// A short text: the decimal numbers of bytes 0, 1, 2, 2, 3, 4, 5, 6 and 7 one behind the other, without padding. Byte 2 is there
    /// twice in what others already store and print, so that it stays. It cannot be read back: many UUIDs have the same one.
    public var short: String {
        let bytes = bytes
        return [0, 1, 2, 2, 3, 4, 5, 6, 7].map { String(bytes[$0]) }.joined()
    }

    public static func < (a: UUID128, b: UUID128) -> Bool { a.value < b.value }
}
