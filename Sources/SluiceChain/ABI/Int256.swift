public import SluiceCore

/// A signed integer of 256 bits, two's complement.
public struct Int256: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The same bits without a sign.
    public let bits: UInt256

    public init(bits: UInt256) { self.bits = bits }

    public init(_ value: Int64) {
        bits = UInt256(high: value < 0 ? .max : 0, low: UInt128(truncatingIfNeeded: value))
    }

    public static let min = Int256(bits: UInt256(high: 1 << 127, low: 0))
    public static let max = Int256(bits: UInt256(high: .max >> 1, low: .max))

    public var isNegative: Bool { bits.high >> 127 == 1 }

    /// How far it is from zero.
    public var magnitude: UInt256 {
        isNegative ? UInt256(high: ~bits.high, low: ~bits.low).addingReportingOverflow(UInt256(1)).partialValue : bits
    }

    public static func < (a: Int256, b: Int256) -> Bool { a.isNegative == b.isNegative ? a.bits < b.bits : a.isNegative }

    /// Decimal digits, behind a minus sign when it is less than zero.
    public var description: String { isNegative ? "-\(magnitude)" : bits.description }
}
