import SluiceCore

/// A value of JSON, as far as an ABI needs to tell them apart, and where it begins.
struct ABIJSONNode {
    indirect enum Value {
        case string(String)
        case bool(Bool)
        case array([ABIJSONNode])
        case object([String: ABIJSONNode])
        /// A number or null.
        case other
    }

    let value: Value
    let offset: Int

    var text: String? { if case .string(let text) = value { text } else { nil } }
    var flag: Bool? { if case .bool(let flag) = value { flag } else { nil } }
    var items: [ABIJSONNode]? { if case .array(let items) = value { items } else { nil } }

    /// A member of an object; nil when it is none, or has none of that name.
    subscript(_ name: String) -> ABIJSONNode? { if case .object(let members) = value { members[name] } else { nil } }
}

/// Reads JSON into a tree that knows its places, so that a fault in an ABI can be pointed at. For files of some kilobytes.
struct ABIJSONReader {
    private static let depthLimit = 64

    private let bytes: [UInt8]
    private var at = 0

    init(_ text: String) { bytes = Array(text.utf8) }

    mutating func document() throws(SluiceError) -> ABIJSONNode {
        let node = try value(depth: 0)
        skipSpace()
        guard at == bytes.count else { throw fault(at: at, "something stands behind the JSON", "take it away") }
        return node
    }

    func fault(at offset: Int, _ problem: String, _ mend: String) -> SluiceError {
        let before = bytes[..<min(offset, bytes.count)]
        let line = before.count { $0 == 10 } + 1
        let lineStart = before.lastIndex(of: 10).map { $0 + 1 } ?? 0
        // Columns count characters: bytes that go on with one do not count.
        let column = before[lineStart...].count { $0 & 0xC0 != 0x80 } + 1
        return SluiceError(.abiSignature, .config, "reading a JSON ABI: line \(line), column \(column): \(problem)", mend: mend)
    }

    private mutating func value(depth: Int) throws(SluiceError) -> ABIJSONNode {
        skipSpace()
        let start = at
        guard depth < Self.depthLimit else { throw fault(at: start, "more than \(Self.depthLimit) levels", "no ABI nests so deep") }
        switch peek {
        case UInt8(ascii: "\""): return ABIJSONNode(value: .string(try string()), offset: start)
        case UInt8(ascii: "["): return ABIJSONNode(value: .array(try array(depth: depth)), offset: start)
        case UInt8(ascii: "{"): return ABIJSONNode(value: .object(try object(depth: depth)), offset: start)
        default:
            while let byte = peek, (48...57).contains(byte) || (97...122).contains(byte) || [43, 45, 46, 69].contains(byte) { at += 1 }
            switch String(decoding: bytes[start..<at], as: UTF8.self) {
            case "true": return ABIJSONNode(value: .bool(true), offset: start)
            case "false": return ABIJSONNode(value: .bool(false), offset: start)
            case "null": return ABIJSONNode(value: .other, offset: start)
            case let text where !text.isEmpty && Double(text) != nil: return ABIJSONNode(value: .other, offset: start)
            default: throw fault(at: start, "this is no JSON", "give the JSON that the compiler wrote, as it is")
            }
        }
    }

    private mutating func array(depth: Int) throws(SluiceError) -> [ABIJSONNode] {
        at += 1
        var items: [ABIJSONNode] = []
        if take("]") { return items }
        repeat { items.append(try value(depth: depth + 1)) } while take(",")
        try expect("]")
        return items
    }

    private mutating func object(depth: Int) throws(SluiceError) -> [String: ABIJSONNode] {
        at += 1
        var members: [String: ABIJSONNode] = [:]
        if take("}") { return members }
        repeat {
            skipSpace()
            let key = try string()
            try expect(":")
            members[key] = try value(depth: depth + 1)
        } while take(",")
        try expect("}")
        return members
    }

    private mutating func string() throws(SluiceError) -> String {
        try expect("\"")
        let start = at
        var out: [UInt8] = []
        while let byte = peek, byte != UInt8(ascii: "\"") {
            guard byte >= 0x20 else { throw fault(at: at, "a string holds a control character", "write it with an escape") }
            at += 1
            if byte == UInt8(ascii: "\\") { out += try escape() } else { out.append(byte) }
        }
        guard let text = String(validating: out, as: UTF8.self) else {
            throw fault(at: start, "a string is no UTF-8", "give the JSON that the compiler wrote, as it is")
        }
        try expect("\"")
        return text
    }

    /// What an escape stands for; the backslash is read already.
    private mutating func escape() throws(SluiceError) -> [UInt8] {
        let start = at - 1
        defer { at += 1 }
        switch peek {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [bytes[at]]
        case UInt8(ascii: "b"): return [8]
        case UInt8(ascii: "f"): return [12]
        case UInt8(ascii: "n"): return [10]
        case UInt8(ascii: "r"): return [13]
        case UInt8(ascii: "t"): return [9]
        case UInt8(ascii: "u"):
            var units = [try unit()]
            // Characters beyond the first plane are written as two escapes.
            if UTF16.isLeadSurrogate(units[0]), peek(1) == UInt8(ascii: "\\"), peek(2) == UInt8(ascii: "u") {
                at += 2
                units.append(try unit())
            }
            guard let text = String(validating: units, as: UTF16.self) else {
                throw fault(at: start, "an escape stands for no character", "write the character itself")
            }
            return Array(text.utf8)
        default: throw fault(at: start, "JSON has no such escape", "write the character itself")
        }
    }

    /// The four digits behind a `u`; stops at the last.
    private mutating func unit() throws(SluiceError) -> UInt16 {
        let digits = bytes[(at + 1)...].prefix(4)
        guard digits.count == 4, !digits.contains(43), let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16) else {
            throw fault(at: at, "four hex digits are missing", "write the character itself")
        }
        at += 4
        return unit
    }

    private var peek: UInt8? { peek(0) }
    private func peek(_ ahead: Int) -> UInt8? { at + ahead < bytes.count ? bytes[at + ahead] : nil }

    private mutating func skipSpace() {
        while let byte = peek, [32, 9, 10, 13].contains(byte) { at += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard peek == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    private mutating func expect(_ character: Unicode.Scalar) throws(SluiceError) {
        guard take(character) else { throw fault(at: at, "'\(character)' is missing", "give the JSON that the compiler wrote, as it is") }
    }
}
