import SluiceCore

/// One value of a result. What has no case of its own (lists, structs, maps, enums, UUIDs) comes as DuckDB's text.
public enum DuckDBValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case int(Int64)
    case uint(UInt64)
    case int128(Int128)
    case uint128(UInt128)
    /// An integer of any size, in decimal digits.
    case bignum(String)
    case float(Float)
    case double(Double)
    /// Decimal digits with a point, as many behind it as the type has.
    case decimal(String)
    case text(String)
    case blob([UInt8])
    /// Days since 1970-01-01.
    case date(Int32)
    /// Microseconds since midnight.
    case time(Int64)
    /// Microseconds since 1970-01-01T00:00:00, of no zone or (`utc`) of UTC.
    case timestamp(Int64, utc: Bool)
    case interval(months: Int32, days: Int32, micros: Int64)
}

extension DuckDBValue: CustomStringConvertible {
    /// As text to show: ISO 8601 for times, `0x` and hex digits for blobs, `NULL` for null.
    public var description: String {
        switch self {
        case .null: "NULL"
        case .bool(let value): value ? "true" : "false"
        case .int(let value): "\(value)"
        case .uint(let value): "\(value)"
        case .int128(let value): "\(value)"
        case .uint128(let value): "\(value)"
        case .float(let value): "\(value)"
        case .double(let value): "\(value)"
        case .bignum(let value), .decimal(let value), .text(let value): value
        case .blob(let bytes): Hex.text(bytes)
        case .date(let days): Calendar.date(Int64(days))
        case .time(let micros): Calendar.time(micros)
        case .timestamp(let micros, let utc): Calendar.timestamp(micros) + (utc ? "Z" : "")
        case .interval(let months, let days, let micros): "\(months) months \(days) days \(Calendar.time(micros))"
        }
    }

    /// The integer, of any type that fits; nil otherwise.
    public var uint64: UInt64? {
        switch self {
        case .int(let value): UInt64(exactly: value)
        case .uint(let value): value
        case .int128(let value): UInt64(exactly: value)
        default: nil
        }
    }

    /// The bytes of a blob; nil otherwise.
    public var bytes: [UInt8]? { if case .blob(let bytes) = self { bytes } else { nil } }

    /// The text of a varchar; nil otherwise.
    public var text: String? { if case .text(let text) = self { text } else { nil } }
}

/// Days and microseconds as ISO 8601 writes them. Without Foundation: a date is arithmetic.
public enum Calendar {
    /// `YYYY-MM-DD` of days since 1970-01-01 (proleptic Gregorian).
    public static func date(_ days: Int64) -> String {
        // Counted in eras of 400 years that begin in March, so that the leap day is the last of its year.
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        let civil = month < 10 ? month + 3 : month - 9
        let year = yearOfEra + era * 400 + (civil <= 2 ? 1 : 0)
        return "\(padded(year, 4))-\(padded(civil, 2))-\(padded(day, 2))"
    }

    /// `HH:MM:SS`, with microseconds when there are any.
    static func time(_ micros: Int64) -> String {
        let seconds = micros / 1_000_000
        let rest = micros % 1_000_000
        let clock = "\(padded(seconds / 3600, 2)):\(padded(seconds / 60 % 60, 2)):\(padded(seconds % 60, 2))"
        return rest == 0 ? clock : "\(clock).\(padded(rest, 6))"
    }

    /// Microseconds since 1970 as `YYYY-MM-DDTHH:MM:SS`, with microseconds when there are any.
    public static func timestamp(_ micros: Int64) -> String {
        if micros == .max { return "infinity" }
        if micros == -.max { return "-infinity" }
        let day: Int64 = 86_400_000_000
        let days = micros >= 0 ? micros / day : (micros - day + 1) / day
        return "\(date(days))T\(time(micros - days * day))"
    }

    private static func padded(_ value: Int64, _ width: Int) -> String {
        let digits = String(value.magnitude)
        return (value < 0 ? "-" : "") + String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
