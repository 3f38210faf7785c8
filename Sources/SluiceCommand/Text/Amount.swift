import SluiceCore

/// Numbers for people: grouped digits, rates, sizes, times.
public enum Amount {
    /// `1,234,567`.
    public static func grouped(_ value: UInt64) -> String {
        var out = ""
        let digits = String(value)
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { out += "," }
            out.append(digit)
        }
        return out
    }

    /// `1,234,567`; nothing below zero.
    public static func grouped(_ value: Int) -> String { (value < 0 ? "-" : "") + grouped(UInt64(value.magnitude)) }

    /// A rate: one decimal below 100, whole and grouped above; `-` when it is not known.
    public static func rate(_ value: Double?) -> String {
        guard let value, value.isFinite, value >= 0 else { return "-" }
        return value < 100 ? fixed(value, 1) : grouped(UInt64(min(value, 1e18).rounded()))
    }

    /// `512 B`, `1.5 MB`, in powers of ten.
    public static func bytes(_ value: Double) -> String {
        var value = max(0, value.isFinite ? value : 0)
        for unit in ["B", "kB", "MB", "GB", "TB"] {
            if value < 999.95 || unit == "TB" { return unit == "B" ? "\(Int(value.rounded())) B" : "\(fixed(value, 1)) \(unit)" }
            value /= 1000
        }
        return ""
    }

    /// Seconds as people say them: `0.4s`, `45s`, `3m 05s`, `2h 10m`, `4d 3h`; `-` when not known.
    public static func time(_ seconds: Double?) -> String {
        guard let seconds, seconds.isFinite, seconds >= 0 else { return "-" }
        if seconds < 9.95 { return fixed(seconds, 1) + "s" }
        let whole = UInt64(min(seconds, 1e15).rounded())
        func two(_ number: UInt64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        if whole < 60 { return "\(whole)s" }
        if whole < 3600 { return "\(whole / 60)m \(two(whole % 60))s" }
        if whole < 86_400 { return "\(whole / 3600)h \(two(whole / 60 % 60))m" }
        return "\(whole / 86_400)d \(whole / 3600 % 24)h"
    }

    /// A number with so many digits behind the point, without Foundation.
    public static func fixed(_ value: Double, _ digits: Int) -> String {
        var scale: UInt64 = 1
        for _ in 0..<digits { scale *= 10 }
        let scaled = UInt64(min(value.magnitude * Double(scale), 1e18).rounded())
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard digits > 0 else { return sign + String(scaled) }
        let rest = String(scaled % scale)
        return "\(sign)\(scaled / scale).\(String(repeating: "0", count: digits - rest.count))\(rest)"
    }

    /// `1 block`, `2 blocks`; `plural` where an s does not make it.
    public static func count(_ value: UInt64, _ noun: String, plural: String? = nil) -> String {
        "\(grouped(value)) " + (value == 1 ? noun : plural ?? noun + "s")
    }
}
