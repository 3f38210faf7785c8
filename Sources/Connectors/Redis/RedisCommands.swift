import SluiceCore

/// Commands as they go over the wire, one behind the other, in memory that is used again and again.
struct RedisCommands: ~Copyable {
    private var memory: UnsafeMutableRawPointer
    private var capacity: Int
    private(set) var byteCount = 0
    /// Commands that were begun.
    private(set) var count = 0
    /// Bytes of the longest part so far.
    private(set) var longestPart = 0

    init(capacity: Int = 1 << 10) {
        self.capacity = capacity
        memory = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { memory.deallocate() }

    /// Valid until something is added.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory, count: byteCount) }

    /// Forgets what was made.
    mutating func clear() { (byteCount, count, longestPart) = (0, 0, 0) }

    /// Begins a command of so many parts, its name among them; they must follow.
    mutating func begin(_ parts: Int) {
        count += 1
        head(UInt8(ascii: "*"), parts)
    }

    mutating func add(_ part: UnsafeRawBufferPointer) {
        longestPart = max(longestPart, part.count)
        reserve(part.count + 32)
        head(UInt8(ascii: "$"), part.count)
        put(part)
        end()
    }

    mutating func add(_ part: [UInt8]) { part.withUnsafeBytes { add($0) } }

    mutating func add(_ part: String) {
        var part = part
        part.withUTF8 { add(UnsafeRawBufferPointer($0)) }
    }

    /// Parts as they are sent.
    mutating func add(parts: UnsafeRawBufferPointer) {
        reserve(parts.count)
        put(parts)
    }

    mutating func add(parts: [UInt8]) { parts.withUnsafeBytes { add(parts: $0) } }

    /// The same of parts that were added to `other`.
    mutating func add(partsOf other: borrowing RedisCommands) {
        longestPart = max(longestPart, other.longestPart)
        add(parts: other.bytes)
    }

    /// A whole command.
    mutating func command(_ parts: String...) {
        begin(parts.count)
        for part in parts { add(part) }
    }

    /// A script with what it is given.
    mutating func script(_ text: String, _ arguments: [[UInt8]]) {
        begin(script: text, arguments.count)
        for argument in arguments { add(argument) }
    }

    /// Begins a script, which so many arguments must follow.
    mutating func begin(script text: String, _ arguments: Int) {
        begin(3 + arguments)
        add("EVAL")
        add(text)
        add("0")
    }

    private mutating func head(_ mark: UInt8, _ number: Int) {
        reserve(32)
        memory.storeBytes(of: mark, toByteOffset: byteCount, as: UInt8.self)
        var (length, bound) = (1, 10)
        while number >= bound {
            length += 1
            bound *= 10
        }
        var (at, rest) = (byteCount + length, number)
        byteCount = at + 1
        for _ in 0..<length {
            let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
            memory.storeBytes(of: UInt8(truncatingIfNeeded: digit) + 48, toByteOffset: at, as: UInt8.self)
            at -= 1
            rest = quotient
        }
        end()
    }

    private mutating func put(_ part: UnsafeRawBufferPointer) {
        if let base = part.baseAddress { (memory + byteCount).copyMemory(from: base, byteCount: part.count) }
        byteCount += part.count
    }

    private mutating func end() {
        memory.storeBytes(of: 13, toByteOffset: byteCount, as: UInt8.self)
        memory.storeBytes(of: 10, toByteOffset: byteCount + 1, as: UInt8.self)
        byteCount += 2
    }

    private mutating func reserve(_ more: Int) {
        guard byteCount + more > capacity else { return }
        capacity = max(capacity * 2, byteCount + more)
        let next = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        next.copyMemory(from: memory, byteCount: byteCount)
        memory.deallocate()
        memory = next
    }
}
