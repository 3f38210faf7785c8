/// An unsigned integer of 256 bits, as the chain counts amounts.
public struct UInt256: Hashable, Sendable, Comparable, CustomStringConvertible, BitwiseCopyable {
    /// Least significant half.
    public var low: UInt128
    /// Most significant half.
    public var high: UInt128

    public init(high: UInt128 = 0, low: UInt128) {
        self.low = low
        self.high = high
    }

    public init(_ value: UInt64) { self.init(low: UInt128(value)) }

    public static let zero = UInt256(low: 0)
    public static let max = UInt256(high: .max, low: .max)

    /// From up to 32 bytes, most significant first; nil for more.
    public init?(bigEndian bytes: some Collection<UInt8>) {
        guard bytes.count <= 32 else { return nil }
        self = .zero
        for byte in bytes {
            high = high << 8 | low >> 120
            low = low << 8 | UInt128(byte)
        }
    }

    /// From a word of 32 bytes, most significant first.
    public init(word bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count == 32, "a word has 32 bytes")
        self.init(
            high: UInt128(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt128.self)),
            low: UInt128(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt128.self)))
    }

    /// From decimal digits; nil for anything else, or when it does not fit.
    public init?(decimal text: some StringProtocol) {
        guard !text.isEmpty else { return nil }
        self = .zero
        for digit in text.utf8 {
            guard digit >= 48, digit <= 57 else { return nil }
            let (scaled, lost) = multipliedReportingOverflow(by: 10)
            let (sum, carried) = scaled.addingReportingOverflow(UInt256(UInt64(digit - 48)))
            guard !lost, !carried else { return nil }
            self = sum
        }
    }

    /// 32 bytes, most significant first.
    public var bigEndianBytes: [UInt8] {
        withUnsafeBytes(of: (high.byteSwapped, low.byteSwapped)) { Array($0) }
    }

    public static func < (a: UInt256, b: UInt256) -> Bool { a.high == b.high ? a.low < b.low : a.high < b.high }

    /// The sum, and whether it wrapped.
    public func addingReportingOverflow(_ other: UInt256) -> (partialValue: UInt256, overflow: Bool) {
        let (low, carry) = low.addingReportingOverflow(other.low)
        let (part, first) = high.addingReportingOverflow(other.high)
        let (high, second) = part.addingReportingOverflow(carry ? 1 : 0)
        return (UInt256(high: high, low: low), first || second)
    }

    /// The product with a small factor, and whether it wrapped.
    public func multipliedReportingOverflow(by factor: UInt64) -> (partialValue: UInt256, overflow: Bool) {
        let (carry, low) = low.multipliedFullWidth(by: UInt128(factor))
        let (lost, part) = high.multipliedFullWidth(by: UInt128(factor))
        let (high, wrapped) = part.addingReportingOverflow(carry)
        return (UInt256(high: high, low: UInt128(low)), lost != 0 || wrapped)
    }

    /// Quotient and remainder by a divisor other than 0.
    public func quotientAndRemainder(dividingBy divisor: UInt64) -> (quotient: UInt256, remainder: UInt64) {
        let divisor = UInt128(divisor)
        let top = high.quotientAndRemainder(dividingBy: divisor)
        let low = divisor.dividingFullWidth((top.remainder, low))
        return (UInt256(high: top.quotient, low: low.quotient), UInt64(low.remainder))
    }

    /// The nearest double.
    public var doubleValue: Double { Double(high) * 0x1p128 + Double(low) }

    /// Decimal digits.
    public var description: String {
        if high == 0 { return String(low) }
        // 19 digits a step is what fits a word.
        let step: UInt64 = 10_000_000_000_000_000_000
        let (rest, tail) = quotientAndRemainder(dividingBy: step)
        let digits = String(tail)
        return rest.description + String(repeating: "0", count: 19 - digits.count) + digits
    }
}
