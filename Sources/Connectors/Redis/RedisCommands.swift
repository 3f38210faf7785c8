import SluiceCore

/// Commands as they go over the wire, one behind the other.
struct RedisCommands {
    private(set) var bytes: [UInt8] = []
    private(set) var count = 0

    /// Begins a command of so many parts, its name among them; they must follow.
    mutating func begin(_ parts: Int) {
        count += 1
        head(UInt8(ascii: "*"), parts)
    }

    mutating func add(_ part: UnsafeRawBufferPointer) {
        head(UInt8(ascii: "$"), part.count)
        bytes.append(contentsOf: part)
        end()
    }

    mutating func add(_ part: [UInt8]) { part.withUnsafeBytes { add($0) } }

    mutating func add(_ part: String) {
        var part = part
        part.withUTF8 { add(UnsafeRawBufferPointer($0)) }
    }

    /// A whole command.
    mutating func command(_ parts: String...) {
        begin(parts.count)
        for part in parts { add(part) }
    }

    /// A script with what it is given.
    mutating func script(_ text: String, _ arguments: [[UInt8]]) {
        begin(3 + arguments.count)
        add("EVAL")
        add(text)
        add("0")
        for argument in arguments { add(argument) }
    }

    private mutating func head(_ mark: UInt8, _ number: Int) {
        bytes.append(mark)
        if number < 10 { bytes.append(UInt8(truncatingIfNeeded: number) + 48) } else { bytes.append(contentsOf: String(number).utf8) }
        end()
    }

    private mutating func end() {
        bytes.append(13)
        bytes.append(10)
    }
}
