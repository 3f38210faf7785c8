/// What a session of the risk engine is, in three bytes: network, pipeline type, invariant.
public struct SessionPID: DeterministicID {
    public let network: NetworkKind
    public let pipelineType: PipelineType
    public let invariant: InvariantType

    public init(network: NetworkKind, pipelineType: PipelineType, invariant: InvariantType) {
        self.network = network
        self.pipelineType = pipelineType
        self.invariant = invariant
    }

    public static let byteCount = 3
    public static let separator = "::"
    public static let zero = SessionPID(network: .unknown, pipelineType: .unknown, invariant: .unknown)

    public var bytes: [UInt8] { [network.rawValue, pipelineType.rawValue, invariant.rawValue] }

    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        let bytes = Array(bytes)
        self.init(
            network: NetworkKind(rawValue: bytes[0]), pipelineType: PipelineType(rawValue: bytes[1]),
            invariant: InvariantType(rawValue: bytes[2]))
    }

    /// The three names, as `layer1:live:contract_event`.
    public var description: String { "\(network):\(pipelineType):\(invariant)" }

    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 3, let network = NetworkKind(name: parts[0]), let type = PipelineType(name: parts[1]),
            let invariant = InvariantType(name: parts[2])
        else { return nil }
        self.init(network: network, pipelineType: type, invariant: invariant)
    }
}
