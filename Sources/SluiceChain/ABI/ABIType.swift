public import SluiceCore

extension SluiceError.Code {
    /// The text of an event, of a type or of a JSON ABI cannot be read.
    public static let abiSignature = SluiceError.Code("abi_signature")
    /// A log is not encoded as its event says.
    public static let abiMalformed = SluiceError.Code("abi_malformed")
}

/// A type of the contract ABI, as the Solidity ABI specification names them.
public indirect enum ABIType: Hashable, Sendable {
    /// An unsigned integer of so many bits: 8, 16, ... 256.
    case uint(Int)
    /// A signed integer of so many bits: 8, 16, ... 256.
    case int(Int)
    /// An unsigned fixed-point number of so many bits, with so many decimals: 1 to 80.
    case ufixed(Int, decimals: Int)
    /// A signed fixed-point number. Solidity has none yet, but Vyper's `decimal` was one (`fixed168x10`).
    case fixed(Int, decimals: Int)
    case address
    case bool
    /// So many bytes, 1 to 32.
    case fixedBytes(Int)
    /// An address and a selector: 24 bytes.
    case function
    /// Bytes of any number.
    case bytes
    /// UTF-8 text.
    case string
    /// An array whose length stands in the data.
    case array(ABIType)
    /// An array of a length that the type states.
    case fixedArray(ABIType, count: Int)
    case tuple([ABIComponent])
}

/// A member of a tuple, or an argument: its type, and its name where one was stated.
public struct ABIComponent: Hashable, Sendable {
    /// Empty when it has none.
    public let name: String
    public let type: ABIType

    public init(_ type: ABIType, _ name: String = "") {
        self.name = name
        self.type = type
    }
}

extension ABIType {
    /// Most levels of arrays and tuples inside each other.
    static let depthLimit = 32
    /// Most words that the head of a type may take: 2 MiB, about what the largest log holds.
    static let wordLimit = 1 << 16

    /// The name as it stands in a canonical signature: aliases resolved, tuples in parentheses, no names.
    public var name: String {
        switch self {
        case .uint(let bits): "uint\(bits)"
        case .int(let bits): "int\(bits)"
        case .ufixed(let bits, let decimals): "ufixed\(bits)x\(decimals)"
        case .fixed(let bits, let decimals): "fixed\(bits)x\(decimals)"
        case .address: "address"
        case .bool: "bool"
        case .fixedBytes(let count): "bytes\(count)"
        case .function: "function"
        case .bytes: "bytes"
        case .string: "string"
        case .array(let element): element.name + "[]"
        case .fixedArray(let element, let count): element.name + "[\(count)]"
        case .tuple(let members): "(" + members.map(\.type.name).joined(separator: ",") + ")"
        }
    }

    /// Whether it stands in the tail of an encoding, with its offset in the head.
    public var isDynamic: Bool {
        switch self {
        case .bytes, .string, .array: true
        case .fixedArray(let element, _): element.isDynamic
        case .tuple(let members): members.contains { $0.type.isDynamic }
        default: false
        }
    }

    /// Whether an indexed argument of it is the topic itself; of all others the topic is a hash.
    public var isValueType: Bool {
        switch self {
        case .uint, .int, .ufixed, .fixed, .address, .bool, .fixedBytes, .function: true
        case .bytes, .string, .array, .fixedArray, .tuple: false
        }
    }

    /// Words of 32 bytes that it takes in the head; what is beyond any data comes out as a number beyond any data.
    var headWords: Int {
        if isDynamic { return 1 }
        switch self {
        case .fixedArray(let element, let count):
            let (words, overflow) = element.headWords.multipliedReportingOverflow(by: max(0, count))
            return overflow ? Self.beyond : min(words, Self.beyond)
        case .tuple(let members): return members.headWords
        default: return 1
        }
    }

    /// Larger than any count of words in memory, and small enough to be added up and turned into bytes.
    static let beyond = 1 << 48

    /// What is wrong with it, when it was not made by the parser: nil when it is one of the specification's.
    var fault: String? { fault(depth: 0) }

    /// Whether a number can have so many bits.
    static func isWidth(_ bits: Int) -> Bool { (8...256).contains(bits) && bits % 8 == 0 }

    private func fault(depth: Int) -> String? {
        guard depth < Self.depthLimit else { return "more than \(Self.depthLimit) arrays and tuples inside each other" }
        switch self {
        case .uint(let bits), .int(let bits): return Self.isWidth(bits) ? nil : "\(name) is not a type"
        case .ufixed(let bits, let decimals), .fixed(let bits, let decimals):
            return Self.isWidth(bits) && (1...80).contains(decimals) ? nil : "\(name) is not a type"
        case .fixedBytes(let count): return (1...32).contains(count) ? nil : "\(name) is not a type"
        case .address, .bool, .function, .bytes, .string: return nil
        case .array(let element): return element.fault(depth: depth + 1)
        case .fixedArray(let element, let count):
            if let fault = element.fault(depth: depth + 1) { return fault }
            if count < 1 { return "an array of \(count) elements" }
            let (words, overflow) = element.headWords.multipliedReportingOverflow(by: count)
            return overflow || words > Self.wordLimit ? "an array of \(count) elements is larger than any log" : nil
        case .tuple(let members):
            if members.isEmpty { return "a tuple without members" }
            for member in members { if let fault = member.type.fault(depth: depth + 1) { return fault } }
            return members.headWords > Self.wordLimit ? "a tuple is larger than any log" : nil
        }
    }
}

extension [ABIComponent] {
    /// Words of the heads of all.
    var headWords: Int { reduce(0) { Swift.min(ABIType.beyond, $0 + $1.type.headWords) } }

    /// Whether each has a name of its own, so that they can be told apart by it.
    var areNamed: Bool { allSatisfy { !$0.name.isEmpty } && Set(map(\.name)).count == count }
}
