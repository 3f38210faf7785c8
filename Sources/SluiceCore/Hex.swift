/// Hex text with a `0x` prefix, as JSON-RPC writes it. For single values; bulk data goes through the decoder in SluiceFormats.
public enum Hex {
    private static let digits = Array("0123456789abcdef".utf8)

    /// `0x` and two lower-case digits a byte.
    public static func text(_ bytes: some Collection<UInt8>) -> String {
        String(unsafeUninitializedCapacity: 2 + 2 * bytes.count) { target in
            target[0] = UInt8(ascii: "0")
            target[1] = UInt8(ascii: "x")
            var at = 2
            for byte in bytes {
                target[at] = digits[Int(byte >> 4)]
                target[at + 1] = digits[Int(byte & 15)]
                at += 2
            }
            return at
        }
    }

    /// The bytes behind `0x`; nil when the prefix is missing, a digit is none, or their count is odd.
    public static func bytes(_ text: some StringProtocol) -> [UInt8]? {
        let utf8 = Array(text.utf8)
        guard utf8.count >= 2, utf8.count & 1 == 0, utf8[0] == UInt8(ascii: "0"), utf8[1] | 0x20 == UInt8(ascii: "x") else { return nil }
        var out: [UInt8] = []
        out.reserveCapacity(utf8.count / 2 - 1)
        for at in stride(from: 2, to: utf8.count, by: 2) {
            guard let high = nibble(utf8[at]), let low = nibble(utf8[at + 1]) else { return nil }
            out.append(high << 4 | low)
        }
        return out
    }

    /// A JSON-RPC quantity: `0x` and 1 to 16 digits; nil for anything else.
    public static func quantity(_ text: some StringProtocol) -> UInt64? {
        let utf8 = Array(text.utf8)
        guard (3...18).contains(utf8.count), utf8[0] == UInt8(ascii: "0"), utf8[1] | 0x20 == UInt8(ascii: "x") else { return nil }
        var value: UInt64 = 0
        for digit in utf8[2...] {
            guard let digit = nibble(digit) else { return nil }
            value = value << 4 | UInt64(digit)
        }
        return value
    }

    /// A quantity as JSON-RPC writes it: no leading zeros, `0x0` for zero.
    public static func quantity(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

    /// A JSON-RPC quantity of up to 256 bits: `0x` and 1 to 64 digits; nil for anything else.
    public static func wideQuantity(_ text: some StringProtocol) -> UInt256? {
        let utf8 = Array(text.utf8)
        guard (3...66).contains(utf8.count), utf8[0] == UInt8(ascii: "0"), utf8[1] | 0x20 == UInt8(ascii: "x") else { return nil }
        var value = UInt256.zero
        for digit in utf8[2...] {
            guard let digit = nibble(digit) else { return nil }
            value.high = value.high << 4 | value.low >> 124
            value.low = value.low << 4 | UInt128(digit)
        }
        return value
    }

    /// The same, written: no leading zeros, `0x0` for zero.
    public static func quantity(_ value: UInt256) -> String {
        let low = String(value.low, radix: 16)
        guard value.high > 0 else { return "0x" + low }
        return "0x" + String(value.high, radix: 16) + String(repeating: "0", count: 32 - low.utf8.count) + low
    }

    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
