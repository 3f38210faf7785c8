/// Reads JSON into a tree that knows its places, so that a fault in it can be pointed at. For texts of some kilobytes.
public struct JSONTreeReader: Sendable {
    private static let depthLimit = 64

    private let bytes: [UInt8]
    private var at = 0
    private let code: SluiceError.Code
    private let subject: String
    private let remedy: String

    /// - Parameters:
    ///   - subject: what is read, for messages ("a JSON ABI").
    ///   - code: of the errors.
    ///   - remedy: what mends a text that is no JSON.
    public init(_ text: String, reading subject: String, code: SluiceError.Code, remedy: String) {
        bytes = Array(text.utf8)
        self.code = code
        self.subject = subject
        self.remedy = remedy
    }

    /// The one value that the text is.
    /// - Throws: an error of class `config`, with the place.
    public mutating func document() throws(SluiceError) -> JSONNode {
        let node = try value(depth: 0)
        skipSpace()
        guard at == bytes.count else { throw fault(at: at, "something stands behind the JSON", "take it away") }
        return node
    }

    /// A fault at a place of the text.
    public func fault(at offset: Int, _ problem: String, _ mend: String) -> SluiceError {
        let before = bytes[..<min(offset, bytes.count)]
        let line = before.count { $0 == 10 } + 1
        let lineStart = before.lastIndex(of: 10).map { $0 + 1 } ?? 0
        // Columns count characters: bytes that go on with one do not count.
        let column = before[lineStart...].count { $0 & 0xC0 != 0x80 } + 1
        return SluiceError(code, .config, "reading \(subject): line \(line), column \(column): \(problem)", mend: mend)
    }

    private mutating func value(depth: Int) throws(SluiceError) -> JSONNode {
        skipSpace()
        let start = at
        guard depth < Self.depthLimit else { throw fault(at: start, "more than \(Self.depthLimit) levels", remedy) }
        switch peek {
        case UInt8(ascii: "\""): return JSONNode(value: .string(try string()), offset: start)
        case UInt8(ascii: "["): return JSONNode(value: .array(try array(depth: depth)), offset: start)
        case UInt8(ascii: "{"): return JSONNode(value: .object(try object(depth: depth)), offset: start)
        default:
            while let byte = peek, (48...57).contains(byte) || (97...122).contains(byte) || [43, 45, 46, 69].contains(byte) { at += 1 }
            switch String(decoding: bytes[start..<at], as: UTF8.self) {
            case "true": return JSONNode(value: .bool(true), offset: start)
            case "false": return JSONNode(value: .bool(false), offset: start)
            case "null": return JSONNode(value: .null, offset: start)
            case let text where !text.isEmpty && Double(text) != nil: return JSONNode(value: .number(text), offset: start)
            default: throw fault(at: start, "this is no JSON", remedy)
            }
        }
    }

    private mutating func array(depth: Int) throws(SluiceError) -> [JSONNode] {
        at += 1
        var items: [JSONNode] = []
        if take("]") { return items }
        repeat { items.append(try value(depth: depth + 1)) } while take(",")
        try expect("]")
        return items
    }

    private mutating func object(depth: Int) throws(SluiceError) -> [String: JSONNode] {
        at += 1
        var members: [String: JSONNode] = [:]
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
            throw fault(at: start, "a string is no UTF-8", remedy)
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
        guard take(character) else { throw fault(at: at, "'\(character)' is missing", remedy) }
    }
}
