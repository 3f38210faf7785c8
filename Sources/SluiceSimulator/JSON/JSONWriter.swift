import SluiceCore

/// Builds JSON text of hex fields, byte by byte. Names are written as they are: they must need no escapes.
struct JSONWriter {
    private(set) var bytes: [UInt8] = []
    private var needsComma = false
    private static let digits = Array("0123456789abcdef".utf8)

    init() {}

    mutating func object(_ body: (inout JSONWriter) -> Void) {
        separate()
        bytes.append(UInt8(ascii: "{"))
        needsComma = false
        body(&self)
        bytes.append(UInt8(ascii: "}"))
        needsComma = true
    }

    mutating func list<Items: Sequence>(_ items: Items, _ body: (inout JSONWriter, Items.Element) -> Void) {
        separate()
        bytes.append(UInt8(ascii: "["))
        needsComma = false
        for item in items { body(&self, item) }
        bytes.append(UInt8(ascii: "]"))
        needsComma = true
    }

    mutating func array<Items: Sequence>(_ name: StaticString, _ items: Items, _ body: (inout JSONWriter, Items.Element) -> Void) {
        key(name)
        list(items, body)
    }

    /// A value: `0x` and two digits a byte.
    mutating func hex(_ value: [UInt8]) {
        separate()
        bytes.append(contentsOf: [UInt8(ascii: "\""), UInt8(ascii: "0"), UInt8(ascii: "x")])
        for byte in value {
            bytes.append(Self.digits[Int(byte >> 4)])
            bytes.append(Self.digits[Int(byte & 15)])
        }
        bytes.append(UInt8(ascii: "\""))
        needsComma = true
    }

    mutating func field(_ name: StaticString, hex value: [UInt8]) {
        key(name)
        hex(value)
    }

    mutating func field(_ name: StaticString, optional value: [UInt8]?) {
        if let value { field(name, hex: value) } else { field(name, word: "null") }
    }

    mutating func field(_ name: StaticString, quantity value: UInt64) { field(name, text: Hex.quantity(value)) }

    mutating func field(_ name: StaticString, amount value: UInt256) {
        let digits =
            value.high == 0
            ? String(value.low, radix: 16)
            : String(value.high, radix: 16) + String(repeating: "0", count: 32 - String(value.low, radix: 16).count)
                + String(value.low, radix: 16)
        field(name, text: "0x" + digits)
    }

    mutating func field(_ name: StaticString, word: StaticString) {
        key(name)
        bytes.append(contentsOf: UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount))
        needsComma = true
    }

    private mutating func field(_ name: StaticString, text: String) {
        key(name)
        bytes.append(UInt8(ascii: "\""))
        bytes.append(contentsOf: text.utf8)
        bytes.append(UInt8(ascii: "\""))
        needsComma = true
    }

    private mutating func key(_ name: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        bytes.append(contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        bytes.append(contentsOf: [UInt8(ascii: "\""), UInt8(ascii: ":")])
        needsComma = false
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = false
    }
}
