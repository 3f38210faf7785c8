public import SluiceCore

/// An event as a contract declares it.
public struct ABIEvent: Hashable, Sendable {
    /// An argument.
    public struct Input: Hashable, Sendable {
        /// Empty when it has none.
        public let name: String
        public let type: ABIType
        /// Whether it is a topic.
        public let isIndexed: Bool

        public init(_ type: ABIType, _ name: String = "", isIndexed: Bool = false) {
            self.name = name
            self.type = type
            self.isIndexed = isIndexed
        }

        /// Without what concerns the event alone.
        public var component: ABIComponent { ABIComponent(type, name) }
    }

    public let name: String
    public let inputs: [Input]
    /// Declared `anonymous`: its logs do not begin with the hash of its signature.
    public let isAnonymous: Bool
    /// Whether it is known which arguments are indexed. A bare signature (`Transfer(address,address,uint256)`) does not tell.
    public let statesIndexed: Bool
    /// keccak-256 of the canonical signature: the first topic of its logs, unless it is anonymous.
    public let topic0: Hash32

    /// - Throws: `abi_signature` (class `config`) when no contract can declare such an event.
    public init(name: String, inputs: [Input], isAnonymous: Bool = false, statesIndexed: Bool = true) throws(SluiceError) {
        self.name = name
        self.inputs = inputs
        self.isAnonymous = isAnonymous
        self.statesIndexed = statesIndexed
        topic0 = Keccak256.hash(Self.signature(name, inputs))
        for (index, input) in inputs.enumerated() {
            if let fault = input.type.fault {
                throw SluiceError(
                    .abiSignature, .config, "the event \(name): argument \(index): \(fault)", mend: "check its type against the contract")
            }
        }
        guard inputs.components.headWords <= ABIType.wordLimit else {
            throw SluiceError(.abiSignature, .config, "the event \(name): its arguments are larger than any log", mend: "check their types")
        }
        let most = isAnonymous ? 4 : 3
        guard indexedCount <= most else {
            throw SluiceError(
                .abiSignature, .config, "the event \(name) has \(indexedCount) indexed arguments, but a log holds \(most)",
                mend: "check which arguments the contract declares indexed")
        }
    }

    /// The canonical signature, such as `Transfer(address,address,uint256)`.
    public var signature: String { Self.signature(name, inputs) }

    private static func signature(_ name: String, _ inputs: [Input]) -> String { name + ABIType.tuple(inputs.components).name }

    private var indexedCount: Int { inputs.count { $0.isIndexed } }
}

extension ABIEvent {
    /// Whether a log with so many topics can be one of its logs.
    public func takes(topics count: Int) -> Bool {
        if statesIndexed { return count == indexedCount + (isAnonymous ? 0 : 1) }
        return count >= 1 && count - 1 <= inputs.count
    }

    /// The arguments of a log, in the order of the declaration. Indexed arguments that are no value types come out as the hash that they
    /// are logged as. Nil when the event was given by its bare signature and the log has some, but not all, of its arguments as
    /// topics: which ones it does not tell.
    ///
    /// Data behind the arguments is an error where their size is fixed: then the log is one of another declaration.
    /// - Parameter topics: all of the log, 32 bytes each.
    /// - Throws: `abi_malformed` (class `deadLetter`), naming the argument.
    public func decode(topics: [Hash32], data: UnsafeRawBufferPointer) throws(SluiceError) -> [ABIValue]? {
        guard takes(topics: topics.count) else { throw malformed("the log has \(topics.count) topics, which is another number") }
        guard isAnonymous || topics.first == topic0 else { throw malformed("the first topic is that of another event") }
        var indexed = topics.dropFirst(isAnonymous ? 0 : 1)
        if !statesIndexed, !indexed.isEmpty, indexed.count < inputs.count { return nil }
        let isTopic = statesIndexed ? inputs.map(\.isIndexed) : inputs.map { _ in !indexed.isEmpty }

        let rest = zip(inputs, isTopic).filter { !$1 }.map(\.0.component)
        if !rest.contains(where: \.type.isDynamic), data.count != 32 * rest.headWords {
            throw malformed("the data has \(data.count) bytes, the arguments take \(32 * rest.headWords)")
        }
        var fromData: ArraySlice<ABIValue>
        do { fromData = try ABIDecoder.decode(rest, data)[...] } catch { throw malformed(error.message) }
        var values: [ABIValue] = []
        values.reserveCapacity(inputs.count)
        for (index, input) in inputs.enumerated() {
            if !isTopic[index] {
                values.append(fromData.removeFirst())
            } else if input.type.isValueType {
                values.append(try value(of: indexed.removeFirst(), as: input, at: index))
            } else {
                values.append(.hash(indexed.removeFirst()))
            }
        }
        return values
    }

    private func malformed(_ problem: String) -> SluiceError {
        SluiceError(.abiMalformed, .deadLetter, "decoding \(signature): \(problem)")
    }

    private func value(of topic: Hash32, as input: Input, at index: Int) throws(SluiceError) -> ABIValue {
        do {
            return try topic.withBytes { word in Result { () throws(ABIMalformed) in try ABIReader.value(input.type, word: word) } }.get()
        } catch { throw malformed(error.inside(input.component, at: index).error.message) }
    }

    /// The topics and the data of a log with these arguments. Of indexed ones that are no value types either the value or its hash.
    /// - Throws: `abi_malformed` (class `data`) when a value is not of its type.
    public func encode(_ values: [ABIValue]) throws(SluiceError) -> (topics: [Hash32], data: [UInt8]) {
        var topics = isAnonymous ? [] : [topic0]
        var rest: [(ABIValue, ABIComponent)] = []
        for (input, value) in zip(inputs, values) {
            if input.isIndexed { topics.append(try ABIEncoder.topic(value, as: input.type)) } else { rest.append((value, input.component)) }
        }
        let isWhole = values.count == inputs.count
        return (topics, try ABIEncoder.encode(rest.map(\.0), as: isWhole ? rest.map(\.1) : inputs.components))
    }
}

extension [ABIEvent.Input] {
    /// As members of a tuple.
    var components: [ABIComponent] { map(\.component) }
}
