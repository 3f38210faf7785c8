import SluiceCore

/// Writes values of the contract ABI as JSON.
///
/// Numbers are strings of decimal digits, because most readers of JSON round large ones. Bytes and addresses are `0x` and lower-case
/// hex. A tuple is an object when each member has a name of its own, else an array. What a log holds only the hash of is
/// `{"keccak256":"0x..."}`, and text that is no UTF-8 is `{"invalid_utf8":"0x..."}`: neither can be taken for a value.
public enum ABIJSONText {
    /// The values of a tuple, given by its components.
    public static func bytes(_ values: [ABIValue], as components: [ABIComponent]) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(64 * values.count)
        append(values, as: components, to: &out)
        return out
    }

    /// Text in quotes.
    public static func quoted(_ text: String) -> [UInt8] {
        var out: [UInt8] = []
        append(quoted: text, to: &out)
        return out
    }

    private static func append(_ values: [ABIValue], as members: [ABIComponent], to out: inout [UInt8]) {
        let areNamed = members.areNamed && !members.isEmpty
        out.append(UInt8(ascii: areNamed ? "{" : "["))
        for (index, (member, value)) in zip(members, values).enumerated() {
            if index > 0 { out.append(UInt8(ascii: ",")) }
            if areNamed {
                append(quoted: member.name, to: &out)
                out.append(UInt8(ascii: ":"))
            }
            append(value, as: member.type, to: &out)
        }
        out.append(UInt8(ascii: areNamed ? "}" : "]"))
    }

    private static func append(_ value: ABIValue, as type: ABIType, to out: inout [UInt8]) {
        switch value {
        case .uint(let number): append(plain: pointed(number.description, type), to: &out)
        case .int(let number): append(plain: pointed(number.description, type), to: &out)
        case .address(let address): address.withBytes { append(hex: $0, to: &out) }
        case .bool(let flag): out += (flag ? "true" : "false").utf8
        case .fixedBytes(let bytes), .function(let bytes), .bytes(let bytes): append(hex: bytes, to: &out)
        case .string(let text): append(quoted: text, to: &out)
        case .invalidText(let bytes): append(marked: "invalid_utf8", bytes, to: &out)
        case .hash(let hash): append(marked: "keccak256", hash.bytes, to: &out)
        case .array(let values):
            out.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { out.append(UInt8(ascii: ",")) }
                append(value, as: element(of: type), to: &out)
            }
            out.append(UInt8(ascii: "]"))
        case .tuple(let values):
            if case .tuple(let members) = type { append(values, as: members, to: &out) }
        }
    }

    /// Digits with the point where a fixed-point type has it, all of its decimals behind it.
    private static func pointed(_ digits: String, _ type: ABIType) -> String {
        switch type {
        case .ufixed(_, let decimals), .fixed(_, let decimals):
            let sign = digits.hasPrefix("-") ? "-" : ""
            let bare = String(digits.dropFirst(sign.count))
            let filled = String(repeating: "0", count: max(0, decimals + 1 - bare.count)) + bare
            return sign + filled.dropLast(decimals) + "." + filled.suffix(decimals)
        default: return digits
        }
    }

    private static func element(of type: ABIType) -> ABIType {
        switch type {
        case .array(let element), .fixedArray(let element, _): element
        default: type
        }
    }

    private static func append(marked name: String, _ bytes: [UInt8], to out: inout [UInt8]) {
        out += "{\"\(name)\":".utf8
        append(hex: bytes, to: &out)
        out.append(UInt8(ascii: "}"))
    }

    private static func append(plain text: String, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        out += text.utf8
        out.append(UInt8(ascii: "\""))
    }

    private static func append(hex bytes: some Collection<UInt8>, to out: inout [UInt8]) { append(plain: Hex.text(bytes), to: &out) }

    private static func append(quoted text: String, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): out += [UInt8(ascii: "\\"), byte]
            case 0..<0x20, 0x7F: out += "\\u00".utf8 + [hexDigits[Int(byte >> 4)], hexDigits[Int(byte & 15)]]
            default: out.append(byte)
            }
        }
        out.append(UInt8(ascii: "\""))
    }

    private static let hexDigits = Array("0123456789abcdef".utf8)
}
