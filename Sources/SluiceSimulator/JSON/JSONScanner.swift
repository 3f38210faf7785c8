import Glibc

/// Finds its way in JSON text by byte ranges and checks it on the way; makes no values and no copies.
struct JSONScanner {
    /// Where the text stops being JSON.
    struct Fault: Error, Equatable {
        let offset: Int
        let expected: String
    }

    typealias Member = (key: Range<Int>, value: Range<Int>)

    let bytes: UnsafeBufferPointer<UInt8>
    private static let depthLimit = 64

    init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    /// The range of the one value that the text is, white space around it left out.
    func document() throws(Fault) -> Range<Int> {
        let start = skipSpace(0)
        let end = try skipValue(start, 0)
        guard skipSpace(end) == bytes.count else { throw Fault(offset: end, expected: "the end") }
        return start..<end
    }

    /// The members of the object at `range`; keys without their quotes.
    func members(_ range: Range<Int>) throws(Fault) -> [Member] {
        var at = range.lowerBound
        try expect(UInt8(ascii: "{"), "an object", &at)
        var out: [Member] = []
        at = skipSpace(at)
        if peek(at) == UInt8(ascii: "}") { return out }
        while true {
            at = skipSpace(at)
            let keyEnd = try skipString(at)
            let key = at + 1..<keyEnd - 1
            at = skipSpace(keyEnd)
            try expect(UInt8(ascii: ":"), "':'", &at)
            at = skipSpace(at)
            let end = try skipValue(at, 0)
            out.append((key, at..<end))
            at = skipSpace(end)
            if peek(at) == UInt8(ascii: "}") { return out }
            try expect(UInt8(ascii: ","), "',' or '}'", &at)
        }
    }

    /// The elements of the array at `range`.
    func elements(_ range: Range<Int>) throws(Fault) -> [Range<Int>] {
        var at = range.lowerBound
        try expect(UInt8(ascii: "["), "an array", &at)
        var out: [Range<Int>] = []
        at = skipSpace(at)
        if peek(at) == UInt8(ascii: "]") { return out }
        while true {
            at = skipSpace(at)
            let end = try skipValue(at, 0)
            out.append(at..<end)
            at = skipSpace(end)
            if peek(at) == UInt8(ascii: "]") { return out }
            try expect(UInt8(ascii: ","), "',' or ']'", &at)
        }
    }

    /// The value of the member with this key, when `range` is an object that has it.
    func member(_ key: StaticString, of range: Range<Int>) throws(Fault) -> Range<Int>? {
        for member in try members(range) where equals(member.key, key) { return member.value }
        return nil
    }

    func equals(_ range: Range<Int>, _ text: StaticString) -> Bool {
        guard range.count == text.utf8CodeUnitCount, let base = bytes.baseAddress else { return false }
        return memcmp(base + range.lowerBound, text.utf8Start, range.count) == 0
    }

    /// The first byte of a value: it tells the kind.
    func kind(_ range: Range<Int>) -> UInt8 { peek(range.lowerBound) }
    func isString(_ range: Range<Int>) -> Bool { kind(range) == UInt8(ascii: "\"") }
    func isObject(_ range: Range<Int>) -> Bool { kind(range) == UInt8(ascii: "{") }
    func isArray(_ range: Range<Int>) -> Bool { kind(range) == UInt8(ascii: "[") }

    /// The text between the quotes as it stands (hex and names have no escapes); nil when the value is no string.
    func string(_ range: Range<Int>) -> String? {
        isString(range) ? text(range.lowerBound + 1..<range.upperBound - 1) : nil
    }

    func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

    // MARK: the grammar

    private func peek(_ at: Int) -> UInt8 { at < bytes.count ? bytes[at] : 0 }

    private func skipSpace(_ start: Int) -> Int {
        var at = start
        while at < bytes.count, bytes[at] == 32 || bytes[at] == 10 || bytes[at] == 13 || bytes[at] == 9 { at += 1 }
        return at
    }

    private func expect(_ byte: UInt8, _ name: String, _ at: inout Int) throws(Fault) {
        guard peek(at) == byte, at < bytes.count else { throw Fault(offset: at, expected: name) }
        at += 1
    }

    private func skipValue(_ start: Int, _ depth: Int) throws(Fault) -> Int {
        guard depth < Self.depthLimit else { throw Fault(offset: start, expected: "less nesting") }
        switch peek(start) {
        case UInt8(ascii: "\""): return try skipString(start)
        case UInt8(ascii: "{"): return try skipContainer(start, depth, close: UInt8(ascii: "}"), keyed: true)
        case UInt8(ascii: "["): return try skipContainer(start, depth, close: UInt8(ascii: "]"), keyed: false)
        case UInt8(ascii: "t"): return try skipWord(start, "true")
        case UInt8(ascii: "f"): return try skipWord(start, "false")
        case UInt8(ascii: "n"): return try skipWord(start, "null")
        default: return try skipNumber(start)
        }
    }

    private func skipContainer(_ start: Int, _ depth: Int, close: UInt8, keyed: Bool) throws(Fault) -> Int {
        var at = skipSpace(start + 1)
        if peek(at) == close { return at + 1 }
        while true {
            at = skipSpace(at)
            if keyed {
                at = skipSpace(try skipString(at))
                try expect(UInt8(ascii: ":"), "':'", &at)
                at = skipSpace(at)
            }
            at = skipSpace(try skipValue(at, depth + 1))
            if peek(at) == close { return at + 1 }
            try expect(UInt8(ascii: ","), "',' or '\(Character(UnicodeScalar(close)))'", &at)
        }
    }

    private func skipString(_ start: Int) throws(Fault) -> Int {
        var at = start
        try expect(UInt8(ascii: "\""), "a string", &at)
        guard let base = bytes.baseAddress else { throw Fault(offset: start, expected: "a string") }
        while true {
            // Strings are most of the text: memchr is what makes this fast, even in a debug build.
            guard let quote = memchr(base + at, 0x22, bytes.count - at) else {
                throw Fault(offset: bytes.count, expected: "the end of a string")
            }
            let end = UnsafeRawPointer(quote) - UnsafeRawPointer(base)
            guard let escape = memchr(base + at, 0x5C, end - at) else { return end + 1 }
            at = UnsafeRawPointer(escape) - UnsafeRawPointer(base) + 2
            guard at <= bytes.count else { throw Fault(offset: bytes.count, expected: "the end of a string") }
        }
    }

    private func skipWord(_ start: Int, _ word: StaticString) throws(Fault) -> Int {
        let end = start + word.utf8CodeUnitCount
        guard end <= bytes.count, equals(start..<end, word) else { throw Fault(offset: start, expected: "a value") }
        return end
    }

    private func skipNumber(_ start: Int) throws(Fault) -> Int {
        var at = start
        if peek(at) == UInt8(ascii: "-") { at += 1 }
        let digits = at
        while at < bytes.count, isDigit(bytes[at]) { at += 1 }
        guard at > digits, at == digits + 1 || bytes[digits] != UInt8(ascii: "0") else { throw Fault(offset: start, expected: "a value") }
        if peek(at) == UInt8(ascii: ".") {
            let fraction = at + 1
            at = fraction
            while at < bytes.count, isDigit(bytes[at]) { at += 1 }
            guard at > fraction else { throw Fault(offset: at, expected: "a digit") }
        }
        if peek(at) | 0x20 == UInt8(ascii: "e") {
            at += 1
            if peek(at) == UInt8(ascii: "+") || peek(at) == UInt8(ascii: "-") { at += 1 }
            let exponent = at
            while at < bytes.count, isDigit(bytes[at]) { at += 1 }
            guard at > exponent else { throw Fault(offset: at, expected: "a digit") }
        }
        return at
    }

    private func isDigit(_ byte: UInt8) -> Bool { byte >= 48 && byte <= 57 }
}

extension [UInt8] {
    /// Looks into JSON text held in an array.
    func withScanner<R>(_ body: (JSONScanner) throws -> R) rethrows -> R {
        try withUnsafeBufferPointer { try body(JSONScanner($0)) }
    }
}
