/// What a column means. Each sink maps every case without losing a bit.
public enum LogicalType: Hashable, Sendable {
    /// One byte a value, 0 or 1 (the one place where the layout is not Arrow's, which packs bits).
    case bool
    /// 8 bytes, signed, little-endian.
    case int64
    /// 8 bytes, unsigned, little-endian.
    case uint64
    /// 8 bytes, IEEE 754.
    case float64
    /// An integer of up to 38 decimal digits: 16 bytes, two's complement, little-endian (Arrow `decimal128(38, 0)`).
    case decimal
    /// An unsigned integer of 256 bits: 32 bytes, little-endian.
    case uint256
    /// Microseconds since 1970-01-01T00:00:00Z: 8 bytes, signed, little-endian.
    case timestamp
    /// UTF-8 text.
    case string
    /// Bytes of any length.
    case bytes
    /// Exactly so many bytes (20 for an address, 32 for a hash).
    case fixedBytes(Int)
    /// JSON text, UTF-8, as it came.
    case json

    /// Bytes a value takes in the values buffer; nil for the types of variable length.
    public var width: Int? {
        switch self {
        case .bool: 1
        case .int64, .uint64, .float64, .timestamp: 8
        case .decimal: 16
        case .uint256: 32
        case .fixedBytes(let count): count
        case .string, .bytes, .json: nil
        }
    }

    /// The name used in docs, `plan` and error messages.
    public var name: String {
        switch self {
        case .bool: "bool"
        case .int64: "int64"
        case .uint64: "uint64"
        case .float64: "float64"
        case .decimal: "decimal"
        case .uint256: "uint256"
        case .timestamp: "timestamp"
        case .string: "string"
        case .bytes: "bytes"
        case .fixedBytes(let count): "bytes(\(count))"
        case .json: "json"
        }
    }
}
