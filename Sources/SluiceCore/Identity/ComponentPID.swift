/// What a component is, in four bytes: network, pipeline type, component kind, register.
public struct ComponentPID: DeterministicID {
    public let network: NetworkKind
    public let pipelineType: PipelineType
    public let kind: ComponentKind
    public let register: RegisterType

    public init(network: NetworkKind, pipelineType: PipelineType, kind: ComponentKind, register: RegisterType) {
        self.network = network
        self.pipelineType = pipelineType
        self.kind = kind
        self.register = register
    }

    public static let byteCount = 4
    public static let separator = "::"
    public static let zero = ComponentPID(network: .unknown, pipelineType: .unknown, kind: .unknown, register: .unknown)

    public var bytes: [UInt8] { [network.rawValue, pipelineType.rawValue, kind.rawValue, register.rawValue] }

    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        let bytes = Array(bytes)
        self.init(
            network: NetworkKind(rawValue: bytes[0]), pipelineType: PipelineType(rawValue: bytes[1]),
            kind: ComponentKind(rawValue: bytes[2]), register: RegisterType(rawValue: bytes[3]))
    }

    /// The four names, as `layer1:live:oracle:geth_block`.
    public var description: String { "\(network):\(pipelineType):\(kind):\(register)" }

    public init?(_ text: some StringProtocol) {
        self.init(parts: text.split(separator: ":", omittingEmptySubsequences: false)[...])
    }

    init?<Part: StringProtocol>(parts: ArraySlice<Part>) {
        let parts = Array(parts)
        guard parts.count == 4, let network = NetworkKind(name: parts[0]), let type = PipelineType(name: parts[1]),
            let kind = ComponentKind(name: parts[2]), let register = RegisterType(name: parts[3])
        else { return nil }
        self.init(network: network, pipelineType: type, kind: kind, register: register)
    }
}
