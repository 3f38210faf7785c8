/// What a pipeline is, in nine bytes: its type and the two ends of its path. Paths are kept with the destination first, so that
/// `first` is the component that delivers and `last` the oracle at the root; both are the same when the oracle itself delivers.
public struct PipelinePID: DeterministicID {
    public let type: PipelineType
    /// The component that is asked for.
    public let first: ComponentPID
    /// The oracle at the root.
    public let last: ComponentPID

    public init(type: PipelineType, first: ComponentPID, last: ComponentPID) {
        self.type = type
        self.first = first
        self.last = last
    }

    public static let byteCount = 1 + 2 * ComponentPID.byteCount
    public static let separator = ":::"
    public static let zero = PipelinePID(type: .unknown, first: .zero, last: .zero)

    public var bytes: [UInt8] { [type.rawValue] + first.bytes + last.bytes }

    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount, let type = bytes.first, let first = ComponentPID(bytes: bytes.dropFirst().prefix(4)),
            let last = ComponentPID(bytes: bytes.suffix(4))
        else { return nil }
        self.init(type: PipelineType(rawValue: type), first: first, last: last)
    }

    /// Type and both ends, as `live::layer1:live:pipe:event_log::layer1:live:oracle:geth_block`.
    public var description: String { "\(type)::\(first)::\(last)" }

    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 11, parts[1].isEmpty, parts[6].isEmpty, let type = PipelineType(name: parts[0]),
            let first = ComponentPID(parts: parts[2...5]), let last = ComponentPID(parts: parts[7...10])
        else { return nil }
        self.init(type: type, first: first, last: last)
    }
}
