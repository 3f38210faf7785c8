public import SluiceCore

/// How many rows there are of a table, and a number that is the same for the same rows in whatever order and batches they came.
///
/// Of each row: FNV-1a (128 bits) over its columns in the order of the schema, each a byte 0 for null, else a byte 1 and the value: of fixed
/// width as it lies in memory (little-endian), of variable length behind its length (4 bytes, little-endian). The two halves of that are
/// mixed (SplitMix64's last steps: `low = mix(low ^ high)`, then `high = mix(high &+ low)`), because sums of FNV alone would not notice
/// all exchanges between rows. The digest is the sum of all rows modulo 2^128. It tells apart what differs by accident, not by intent.
public struct TableDigest: Hashable, Sendable, CustomStringConvertible {
    public private(set) var rows = 0
    public private(set) var sum: UInt128 = 0

    /// Of no rows.
    public init() {}

    /// Adds one row of a table.
    public mutating func add(_ table: Table, row: Int) {
        var state: UInt128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d
        func feed(_ byte: UInt8) { state = (state ^ UInt128(byte)) &* 0x0000_0000_0100_0000_0000_0000_0000_013B }
        for column in table.columns {
            guard !column.isNull(row) else {
                feed(0)
                continue
            }
            feed(1)
            let bytes = column.bytes(row)
            if column.type.width == nil {
                for shift in [0, 8, 16, 24] { feed(UInt8(truncatingIfNeeded: bytes.count >> shift)) }
            }
            for byte in bytes { feed(byte) }
        }
        rows += 1
        sum &+= Self.spread(state)
    }

    /// Adds what another one holds.
    public mutating func add(_ other: TableDigest) {
        rows += other.rows
        sum &+= other.sum
    }

    private static func spread(_ state: UInt128) -> UInt128 {
        let low = mix(UInt64(truncatingIfNeeded: state) ^ UInt64(truncatingIfNeeded: state >> 64))
        let high = mix(UInt64(truncatingIfNeeded: state >> 64) &+ low)
        return UInt128(high) << 64 | UInt128(low)
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// The sum as 32 lower-case digits.
    public var description: String {
        let digits = String(sum, radix: 16)
        return String(repeating: "0", count: 32 - digits.count) + digits
    }
}
