public import SluiceCore

/// Reads what is encoded by the rules of the contract ABI.
///
/// Value types must be padded as the specification says. Offsets may not point into the head nor behind the end, and a length must
/// fit into what is left, which is known before anything is allocated. What follows the bytes of `bytes` and `string` is not looked at:
/// contracts leave dirt there, or nothing. Tails may overlap (some contracts share them), but no more is read than a multiple of the
/// data, so that a few offsets cannot unfold into gigabytes.
public enum ABIDecoder {
    /// The values of a tuple, given by its components.
    /// - Throws: `abi_malformed` (class `deadLetter`), naming the component.
    public static func decode(_ components: [ABIComponent], _ data: UnsafeRawBufferPointer) throws(SluiceError) -> [ABIValue] {
        var reader = ABIReader(data)
        do {
            return try reader.tuple(components, at: 0)
        } catch {
            throw error.error
        }
    }

    /// The same for bytes in an array.
    public static func decode(_ components: [ABIComponent], _ data: [UInt8]) throws(SluiceError) -> [ABIValue] {
        // `withUnsafeBytes` does not pass on which errors its body throws.
        try data.withUnsafeBytes { bytes in Result { () throws(SluiceError) in try decode(components, bytes) } }.get()
    }
}

/// Why something could not be decoded, and where in the values.
struct ABIMalformed: Error {
    private var path: String
    private let reason: String

    init(_ reason: String) {
        path = ""
        self.reason = reason
    }

    /// The same, one level further out.
    func inside(_ place: String) -> ABIMalformed {
        var outer = self
        outer.path = path.isEmpty || path.hasPrefix("[") ? place + path : place + "." + path
        return outer
    }

    /// The same inside a component, named or counted.
    func inside(_ component: ABIComponent, at index: Int) -> ABIMalformed { inside(component.name.isEmpty ? "\(index)" : component.name) }

    var error: SluiceError {
        SluiceError(.abiMalformed, .deadLetter, path.isEmpty ? reason : "argument \(path): \(reason)")
    }
}

/// Walks through encoded data.
struct ABIReader {
    /// How often every byte may be read, on the average, and what may be read beside that.
    private static let readsPerWord = 16
    private static let sparePerRead = 64

    private let data: UnsafeRawBufferPointer
    /// Words that may still be read.
    private var budget: Int

    init(_ data: UnsafeRawBufferPointer) {
        self.data = data
        budget = (data.count / 32 + 1) * Self.readsPerWord + Self.sparePerRead
    }

    mutating func tuple(_ members: [ABIComponent], at base: Int) throws(ABIMalformed) -> [ABIValue] {
        let headSize = 32 * members.headWords
        try require(headSize, at: base, "its head")
        var values: [ABIValue] = []
        values.reserveCapacity(members.count)
        var head = base
        for (index, member) in members.enumerated() {
            do {
                let place = member.type.isDynamic ? try tail(at: head, base: base, headSize: headSize) : head
                values.append(try value(member.type, at: place))
            } catch { throw error.inside(member, at: index) }
            head += 32 * member.type.headWords
        }
        return values
    }

    private mutating func elements(_ type: ABIType, count: Int, at base: Int) throws(ABIMalformed) -> [ABIValue] {
        let (isDynamic, stride) = (type.isDynamic, 32 * type.headWords)
        let (headSize, overflow) = stride.multipliedReportingOverflow(by: count)
        guard !overflow else { throw ABIMalformed("an array of \(count) elements does not fit into the data") }
        try require(headSize, at: base, "an array of \(count) elements")
        // Elements that take no room would cost nothing else.
        guard count <= budget else { throw tooMuch }
        var values: [ABIValue] = []
        values.reserveCapacity(count)
        for index in 0..<count {
            do {
                let head = base + index * stride
                values.append(try value(type, at: isDynamic ? try tail(at: head, base: base, headSize: headSize) : head))
            } catch { throw error.inside("[\(index)]") }
        }
        return values
    }

    /// The value that stands at `place`: in the head when it is static, else at the beginning of its tail.
    private mutating func value(_ type: ABIType, at place: Int) throws(ABIMalformed) -> ABIValue {
        try spend(words: 1)
        switch type {
        case .bytes: return .bytes(Array(try content(at: place)))
        case .string:
            let bytes = try content(at: place)
            return String(validating: bytes, as: UTF8.self).map { .string($0) } ?? .invalidText(Array(bytes))
        case .array(let element):
            let room = data.count - place
            guard let count = Self.int(try word(at: place)), count <= room else {
                throw ABIMalformed("the length of an array is larger than the data")
            }
            return .array(try elements(element, count: count, at: place + 32))
        case .fixedArray(let element, let count): return .array(try elements(element, count: max(0, count), at: place))
        case .tuple(let members): return .tuple(try tuple(members, at: place))
        default: return try Self.value(type, word: try word(at: place))
        }
    }

    /// A value type out of its word: 32 bytes, as they also stand in a topic.
    static func value(_ type: ABIType, word: UnsafeRawBufferPointer) throws(ABIMalformed) -> ABIValue {
        switch type {
        case .uint(let bits), .ufixed(let bits, _):
            guard isZero(word[..<(32 - width(bits))]) else { throw ABIMalformed("the number does not fit \(type.name)") }
            return .uint(UInt256(word: word))
        case .int(let bits), .fixed(let bits, _):
            let first = 32 - width(bits)
            let sign: UInt8 = word[first] & 0x80 == 0 ? 0 : 0xff
            guard word[..<first].allSatisfy({ $0 == sign }) else { throw ABIMalformed("the number does not fit \(type.name)") }
            return .int(Int256(bits: UInt256(word: word)))
        case .address:
            guard isZero(word[..<12]), let address = Address(word[12...]) else {
                throw ABIMalformed("the 12 bytes in front of an address are not zero")
            }
            return .address(address)
        case .bool:
            guard isZero(word[..<31]), word[31] <= 1 else { throw ABIMalformed("a bool is neither 0 nor 1") }
            return .bool(word[31] == 1)
        case .fixedBytes(let count):
            let end = width(8 * min(32, count))
            guard isZero(word[end...]) else { throw ABIMalformed("the padding behind bytes\(count) is not zero") }
            return .fixedBytes(Array(word[..<end]))
        case .function:
            guard isZero(word[24...]) else { throw ABIMalformed("the padding behind a function is not zero") }
            return .function(Array(word[..<24]))
        case .bytes, .string, .array, .fixedArray, .tuple: throw ABIMalformed("\(type.name) is no value type")
        }
    }

    // MARK: - Places

    /// Where the tail begins whose offset stands in the head.
    private mutating func tail(at head: Int, base: Int, headSize: Int) throws(ABIMalformed) -> Int {
        guard let offset = Self.int(try word(at: head)), offset <= data.count - base else {
            throw ABIMalformed("an offset points behind the end of the data")
        }
        guard offset >= headSize else { throw ABIMalformed("the offset \(offset) points into the head") }
        return base + offset
    }

    /// The bytes behind a length.
    private mutating func content(at place: Int) throws(ABIMalformed) -> UnsafeRawBufferPointer {
        guard let count = Self.int(try word(at: place)), count <= data.count - place - 32 else {
            throw ABIMalformed("a length is larger than the rest of the data")
        }
        try spend(words: count / 32)
        return UnsafeRawBufferPointer(rebasing: data[(place + 32)..<(place + 32 + count)])
    }

    private func word(at place: Int) throws(ABIMalformed) -> UnsafeRawBufferPointer {
        try require(32, at: place, "a word")
        return UnsafeRawBufferPointer(rebasing: data[place..<place + 32])
    }

    private func require(_ size: Int, at place: Int, _ what: String) throws(ABIMalformed) {
        guard place >= 0, place <= data.count, size <= data.count - place else {
            throw ABIMalformed("\(what) at byte \(place) does not fit into \(data.count) bytes of data")
        }
    }

    private mutating func spend(words: Int) throws(ABIMalformed) {
        guard words <= budget else { throw tooMuch }
        budget -= words
    }

    private var tooMuch: ABIMalformed { ABIMalformed("the same bytes are pointed at too often") }

    /// A word as a length or an offset; nil when it does not even fit 63 bits.
    private static func int(_ word: UnsafeRawBufferPointer) -> Int? {
        let value = UInt256(word: word)
        return value.high == 0 ? Int(exactly: value.low) : nil
    }

    /// Bytes of so many bits, inside a word whatever is asked for.
    private static func width(_ bits: Int) -> Int { min(32, max(1, bits / 8)) }

    private static func isZero(_ bytes: Slice<UnsafeRawBufferPointer>) -> Bool { bytes.allSatisfy { $0 == 0 } }
}
