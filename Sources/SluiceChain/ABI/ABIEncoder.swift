public import SluiceCore

/// Writes values by the rules of the contract ABI.
public enum ABIEncoder {
    /// The encoding of a tuple, given by its components.
    /// - Throws: `abi_malformed` (class `data`) when a value is not of its type.
    public static func encode(_ values: [ABIValue], as components: [ABIComponent]) throws(SluiceError) -> [UInt8] {
        guard values.count == components.count else { throw misfit("\(values.count) values", "\(components.count) components") }
        var (head, tail): ([UInt8], [UInt8]) = ([], [])
        let headSize = 32 * components.headWords
        for (value, component) in zip(values, components) {
            let bytes = try encode(value, as: component.type)
            if component.type.isDynamic {
                head += UInt256(UInt64(headSize + tail.count)).bigEndianBytes
                tail += bytes
            } else {
                head += bytes
            }
        }
        return head + tail
    }

    /// What stands in a topic: the value itself, or the hash of what a reference type is made of.
    /// - Throws: `abi_malformed` (class `data`) when the value is not of the type.
    public static func topic(_ value: ABIValue, as type: ABIType) throws(SluiceError) -> Hash32 {
        if case .hash(let hash) = value { return hash }
        if type.isValueType, let word = Hash32(try encode(value, as: type)) { return word }
        switch value {
        case .bytes(let bytes), .invalidText(let bytes): return Keccak256.hash(bytes)
        case .string(let text): return Keccak256.hash(text)
        default: return Keccak256.hash(try inPlace(value, as: type))
        }
    }

    private static func encode(_ value: ABIValue, as type: ABIType) throws(SluiceError) -> [UInt8] {
        switch (type, value) {
        case (.bytes, .bytes(let bytes)), (.string, .invalidText(let bytes)): return counted(bytes)
        case (.string, .string(let text)): return counted(Array(text.utf8))
        case (.array(let element), .array(let values)):
            return UInt256(UInt64(values.count)).bigEndianBytes
                + (try encode(values, as: values.map { _ in ABIComponent(element) }))
        case (.fixedArray(let element, let count), .array(let values)) where values.count == count:
            return try encode(values, as: values.map { _ in ABIComponent(element) })
        case (.tuple(let members), .tuple(let values)): return try encode(values, as: members)
        default: return try word(value, as: type)
        }
    }

    private static func word(_ value: ABIValue, as type: ABIType) throws(SluiceError) -> [UInt8] {
        let bytes: [UInt8]
        switch (type, value) {
        case (.uint, .uint(let number)), (.ufixed, .uint(let number)): bytes = number.bigEndianBytes
        case (.int, .int(let number)), (.fixed, .int(let number)): bytes = number.bits.bigEndianBytes
        case (.address, .address(let address)): bytes = [UInt8](repeating: 0, count: 12) + address.bytes
        case (.bool, .bool(let flag)): bytes = [UInt8](repeating: 0, count: 31) + [flag ? 1 : 0]
        case (.fixedBytes(let count), .fixedBytes(let content)) where content.count == count: bytes = padded(content)
        case (.function, .function(let content)) where content.count == 24: bytes = padded(content)
        default: throw misfit("\(value)", type.name)
        }
        // Whether a number fits its width is decided in one place, by the reader.
        do {
            _ = try bytes.withUnsafeBytes { word in Result { () throws(ABIMalformed) in try ABIReader.value(type, word: word) } }.get()
        } catch { throw misfit("\(value)", type.name) }
        return bytes
    }

    /// How a reference type is laid out before it is hashed: elements one behind the other, padded, without lengths and offsets.
    private static func inPlace(_ value: ABIValue, as type: ABIType) throws(SluiceError) -> [UInt8] {
        var bytes: [UInt8] = []
        switch (type, value) {
        case (.bytes, .bytes(let content)), (.string, .invalidText(let content)): return padded(content)
        case (.string, .string(let text)): return padded(Array(text.utf8))
        case (.array(let element), .array(let values)): for value in values { bytes += try inPlace(value, as: element) }
        case (.fixedArray(let element, let count), .array(let values)) where values.count == count:
            for value in values { bytes += try inPlace(value, as: element) }
        case (.tuple(let members), .tuple(let values)) where members.count == values.count:
            for (member, value) in zip(members, values) { bytes += try inPlace(value, as: member.type) }
        default: return try word(value, as: type)
        }
        return bytes
    }

    private static func counted(_ bytes: [UInt8]) -> [UInt8] { UInt256(UInt64(bytes.count)).bigEndianBytes + padded(bytes) }

    /// Followed by zeros up to a whole word.
    private static func padded(_ bytes: [UInt8]) -> [UInt8] { bytes + [UInt8](repeating: 0, count: (32 - bytes.count % 32) % 32) }

    private static func misfit(_ value: String, _ type: String) -> SluiceError {
        SluiceError(.abiMalformed, .data, "encoding by the contract ABI: \(value.prefix(80)) is not \(type)")
    }
}
