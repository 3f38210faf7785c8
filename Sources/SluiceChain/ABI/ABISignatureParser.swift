public import SluiceCore

extension ABIEvent {
    /// Reads an event as people write it: a declaration (`event Transfer(address indexed from, address indexed to, uint256 value)`), the
    /// same without `event`, or a bare signature (`Transfer(address,address,uint256)`), which does not tell what is indexed. Names may be
    /// missing; tuples are written `(address owner, uint256[2] range) order`, with `tuple` in front or without; `uint` and `int` have 256 bits.
    /// - Throws: `abi_signature` (class `config`) with the column, and what to do about it.
    public init(_ text: String) throws(SluiceError) {
        var parser = ABISignatureParser(text, what: "event")
        self = try parser.event()
    }
}

extension ABIType {
    /// Reads a type such as `uint256[2][]` or `(address,bytes32)`.
    /// - Throws: `abi_signature` (class `config`) with the column, and what to do about it.
    public init(_ text: String) throws(SluiceError) {
        var parser = ABISignatureParser(text, what: "type")
        self = try parser.wholeType(members: nil)
    }
}

/// Reads signatures of events, and types.
struct ABISignatureParser {
    /// Longest text that is read.
    private static let limit = 1 << 16

    private let text: [UInt8]
    private let what: String
    private var at = 0

    init(_ text: String, what: String) {
        self.text = Array(text.utf8)
        self.what = what
    }

    // MARK: - Events

    mutating func event() throws(SluiceError) -> ABIEvent {
        try checkLength()
        skipSpace()
        var nameAt = at
        var name = word()
        var isDeclaration = false
        skipSpace()
        if name == "event", peek != UInt8(ascii: "(") {
            isDeclaration = true
            nameAt = at
            name = word()
            skipSpace()
        }
        guard let name else { throw fault(at: nameAt, "the name of an event is missing", "write Name(type, ...)") }
        try expect("(", "to open the list of arguments")
        var inputs: [ABIEvent.Input] = []
        skipSpace()
        if peek != UInt8(ascii: ")") {
            repeat { inputs.append(try input()) } while take(",")
        }
        try expect(")", "or a comma behind an argument")
        skipSpace()
        let wordAt = at
        let last = word()
        guard last == nil || last == "anonymous" else {
            throw fault(at: wordAt, "'\(last ?? "")' stands behind the arguments", "only 'anonymous' may stand there")
        }
        _ = take(";")
        try end()
        let states = isDeclaration || last != nil || inputs.contains(where: \.isIndexed)
        return try ABIEvent(name: name, inputs: inputs, isAnonymous: last != nil, statesIndexed: states)
    }

    private mutating func input() throws(SluiceError) -> ABIEvent.Input {
        let type = try type(depth: 0, members: nil)
        skipSpace()
        var name = word()
        var isIndexed = false
        if name == "indexed" {
            isIndexed = true
            skipSpace()
            name = word()
        }
        return ABIEvent.Input(type, name ?? "", isIndexed: isIndexed)
    }

    // MARK: - Types

    /// A type and nothing behind it. `members` are those of the tuple that it is, where they stand elsewhere.
    mutating func wholeType(members: [ABIComponent]?) throws(SluiceError) -> ABIType {
        try checkLength()
        let type = try type(depth: 0, members: members)
        try end()
        if let fault = type.fault { throw self.fault(at: 0, fault, "check it against the contract") }
        return type
    }

    private mutating func type(depth: Int, members: [ABIComponent]?) throws(SluiceError) -> ABIType {
        skipSpace()
        let start = at
        guard depth < ABIType.depthLimit else { throw tooDeep(at: start) }
        var type: ABIType
        let word = word()
        if word == nil || word == "tuple" {
            skipSpace()
            if let members, word == "tuple", peek != UInt8(ascii: "(") {
                type = .tuple(members)
            } else {
                type = .tuple(try tuple(depth: depth, at: start))
            }
        } else {
            type = try elementary(word ?? "", at: start)
        }
        skipSpace()
        var levels = depth
        while peek == UInt8(ascii: "[") {
            levels += 1
            guard levels < ABIType.depthLimit else { throw tooDeep(at: at) }
            type = try array(of: type)
            skipSpace()
        }
        if let fault = type.fault { throw self.fault(at: start, fault, "check it against the contract") }
        return type
    }

    private mutating func tuple(depth: Int, at start: Int) throws(SluiceError) -> [ABIComponent] {
        guard take("(") else {
            throw fault(
                at: start, "a type is missing",
                "write one of uintN, intN, address, bool, bytesN, bytes, string, function, or (...) for a tuple"
            )
        }
        var members: [ABIComponent] = []
        repeat {
            let type = try type(depth: depth + 1, members: nil)
            skipSpace()
            let nameAt = at
            let name = word()
            if name == "indexed" {
                throw fault(at: nameAt, "a member of a tuple is indexed", "only arguments of the event itself can be")
            }
            members.append(ABIComponent(type, name ?? ""))
        } while take(",")
        try expect(")", "or a comma behind a member of a tuple")
        return members
    }

    private mutating func array(of element: ABIType) throws(SluiceError) -> ABIType {
        at += 1
        skipSpace()
        let start = at
        while let digit = peek, digit >= 48, digit <= 57 { at += 1 }
        let digits = String(decoding: text[start..<at], as: UTF8.self)
        try expect("]", "behind the length of an array")
        if digits.isEmpty { return .array(element) }
        guard let count = Int(digits), count > 0, count <= ABIType.wordLimit else {
            throw fault(
                at: start, "an array cannot have \(digits.prefix(20)) elements", "write 1 to \(ABIType.wordLimit), or [] for any number")
        }
        return .fixedArray(element, count: count)
    }

    private func elementary(_ word: String, at start: Int) throws(SluiceError) -> ABIType {
        switch word {
        case "uint": return .uint(256)
        case "int": return .int(256)
        case "address": return .address
        case "bool": return .bool
        case "bytes": return .bytes
        case "string": return .string
        case "function": return .function
        case "ufixed": return .ufixed(128, decimals: 18)
        case "fixed": return .fixed(128, decimals: 18)
        default: break
        }
        if word.hasPrefix("fixed") || word.hasPrefix("ufixed") { return try fixedPoint(word, at: start) }
        let isSized = word.hasPrefix("uint") || word.hasPrefix("int")
        let digits = word.drop { !("0"..."9").contains($0) }
        let stem = word.dropLast(digits.count)
        if isSized || stem == "bytes", let size = Int(digits), String(size) == digits {
            switch stem {
            case "uint" where ABIType.isWidth(size): return .uint(size)
            case "int" where ABIType.isWidth(size): return .int(size)
            case "bytes" where (1...32).contains(size): return .fixedBytes(size)
            case "bytes": throw fault(at: start, "'\(word)' is not a type", "bytes1 to bytes32, or bytes")
            default: break
            }
        }
        if isSized { throw fault(at: start, "'\(word)' is not a type", "widths are multiples of 8, from 8 to 256") }
        throw fault(
            at: start, "'\(word.prefix(40))' is not a type of the contract ABI",
            "write address for a contract, uint8 for an enum, and the members in parentheses for a struct")
    }

    private func fixedPoint(_ word: String, at start: Int) throws(SluiceError) -> ABIType {
        let isSigned = word.hasPrefix("fixed")
        let sizes = word.dropFirst(isSigned ? 5 : 6).split(separator: "x", omittingEmptySubsequences: false)
        guard sizes.count == 2, let bits = Int(sizes[0]), let decimals = Int(sizes[1]),
            sizes.map(String.init) == ["\(bits)", "\(decimals)"],
            ABIType.isWidth(bits), (1...80).contains(decimals)
        else {
            throw fault(
                at: start, "'\(word.prefix(40))' is not a type", "write \(isSigned ? "" : "u")fixed128x18: 8 to 256 bits, 1 to 80 decimals")
        }
        return isSigned ? .fixed(bits, decimals: decimals) : .ufixed(bits, decimals: decimals)
    }

    // MARK: - Text

    private var peek: UInt8? { at < text.count ? text[at] : nil }

    private mutating func skipSpace() {
        while let byte = peek, [32, 9, 10, 13].contains(byte) { at += 1 }
    }

    /// Letters, digits, `_` and `$`, not beginning with a digit; nil when something else stands here.
    private mutating func word() -> String? {
        let start = at
        while let byte = peek {
            let isDigit = (48...57).contains(byte)
            guard (65...90).contains(byte & 0xDF) && byte < 128 || byte == 95 || byte == 36 || isDigit && at > start else { break }
            at += 1
        }
        return at > start ? String(decoding: text[start..<at], as: UTF8.self) : nil
    }

    /// Whether the character stood here, white space before it left out.
    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard peek == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    private mutating func expect(_ character: Unicode.Scalar, _ purpose: String) throws(SluiceError) {
        if take(character) { return }
        throw fault(at: at, "'\(character)' is missing \(purpose)", "\(here) stands there")
    }

    private mutating func end() throws(SluiceError) {
        skipSpace()
        guard at < text.count else { return }
        throw fault(at: at, "\(here) stands behind the \(what)", "take it away, or write one \(what) only")
    }

    /// What stands here, for a message.
    private var here: String {
        guard at < text.count else { return "the end" }
        return "'" + String(decoding: text[at...].prefix(12), as: UTF8.self) + "'"
    }

    private func checkLength() throws(SluiceError) {
        guard text.count <= Self.limit else {
            throw fault(at: Self.limit, "the text is longer than \(Self.limit) bytes", "no contract declares such an event")
        }
    }

    private func tooDeep(at offset: Int) -> SluiceError {
        fault(at: offset, "more than \(ABIType.depthLimit) arrays and tuples inside each other", "no contract declares such an event")
    }

    private func fault(at offset: Int, _ problem: String, _ mend: String) -> SluiceError {
        // Everything before the first problem is ASCII: bytes are columns.
        let shown = String(decoding: text.prefix(120), as: UTF8.self)
        return SluiceError(.abiSignature, .config, "reading the \(what) \"\(shown)\": column \(offset + 1): \(problem)", mend: mend)
    }
}
