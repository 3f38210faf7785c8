/// Moments as version 2 writes them where it deletes.
enum InfluxTime {
    /// RFC 3339 with nanoseconds.
    static func text(_ nanoseconds: Int64) -> String {
        let (whole, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        let fraction = rest < 0 ? rest + 1_000_000_000 : rest
        let seconds = rest < 0 ? whole - 1 : whole
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let inDay = ((seconds % 86_400) + 86_400) % 86_400
        let digits = String(fraction)
        let padded = String(repeating: "0", count: 9 - digits.count) + digits
        return "\(date((seconds - inDay) / 86_400))T\(two(inDay / 3600)):\(two(inDay / 60 % 60)):\(two(inDay % 60)).\(padded)Z"
    }

    /// The date of a day since 1970, by the rules of the Gregorian calendar.
    private static func date(_ day: Int64) -> String {
        let shifted = day + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let dayOfMonth = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(year)-\(two(month))-\(two(dayOfMonth))"
    }
}
