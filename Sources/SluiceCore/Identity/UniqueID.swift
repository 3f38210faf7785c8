/// The identity of one instance: what it is, and a random part that no other instance has.
public struct UniqueID<PID: DeterministicID>: Hashable, Sendable, CustomStringConvertible {
    public let pid: PID
    public let uuid: UUID128

    public init(pid: PID, uuid: UUID128) {
        self.pid = pid
        self.uuid = uuid
    }

    /// A new instance.
    public init(_ pid: PID, using random: inout some RandomNumberGenerator) { self.init(pid: pid, uuid: UUID128(using: &random)) }

    /// All bytes zero: names nothing.
    public static var zero: Self { Self(pid: .zero, uuid: .zero) }

    /// The bytes of the PID, then those of the UUID.
    public var bytes: [UInt8] { pid.bytes + uuid.bytes }

    /// From exactly as many bytes as there must be; nil for another count.
    public init?(bytes: some Collection<UInt8>) {
        guard let pid = PID(bytes: bytes.dropLast(16)), let uuid = UUID128(bytes: bytes.suffix(16)) else { return nil }
        self.init(pid: pid, uuid: uuid)
    }

    /// PID and short UUID, as `layer1:live:oracle:geth_block::1231323245...`. To be shown; it cannot be read back.
    public var description: String { "\(pid)\(PID.separator)\(uuid.short)" }

    /// PID and canonical UUID: nothing is lost, so that this one is for keys and links.
    public var fullText: String { "\(pid)\(PID.separator)\(uuid)" }

    /// From what `fullText` says; nil when it is something else, or says `unknown` somewhere.
    public init?(fullText text: some StringProtocol) {
        guard let uuid = UUID128(text.suffix(36)), text.dropLast(36).hasSuffix(PID.separator),
            let pid = PID(text.dropLast(36 + PID.separator.count))
        else { return nil }
        self.init(pid: pid, uuid: uuid)
    }
}

/// Identity of a component.
public typealias CUUID = UniqueID<ComponentPID>
/// Identity of a pipeline.
public typealias PUUID = UniqueID<PipelinePID>
/// Identity of a session of the risk engine.
public typealias SUUID = UniqueID<SessionPID>

extension UniqueID where PID == PipelinePID {
    /// The network of the pipeline: that of its destination, byte 1.
    public var network: NetworkKind { pid.first.network }
}
