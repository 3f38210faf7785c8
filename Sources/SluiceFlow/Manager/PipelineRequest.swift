public import SluiceCore

/// A pipeline as it is asked for, in words: what a configuration or an operator says.
public struct PipelineRequest: Sendable, Hashable {
    public var name: String
    public var network: String
    public var registers: [String]
    /// The first block; nil for the head.
    public var start: UInt64?
    public var sinks: [String]
    /// Addresses and the like for its addressable registers: by register, member and what belongs to the member.
    public var state: [String: [String: [String]]]

    public init(
        name: String, network: String, registers: [String], start: UInt64? = nil, sinks: [String], state: [String: [String: [String]]] = [:]
    ) {
        self.name = name
        self.network = network
        self.registers = registers
        self.start = start
        self.sinks = sinks
        self.state = state
    }

    /// As JSON, the same for equal requests.
    public var json: String {
        func list(_ texts: [String]) -> String { "[" + texts.map(\.jsonQuoted).joined(separator: ",") + "]" }
        let state = state.sorted { $0.key < $1.key }.map { register, members in
            register.jsonQuoted + ":{"
                + members.sorted { $0.key < $1.key }.map { $0.key.jsonQuoted + ":" + list($0.value) }.joined(separator: ",") + "}"
        }
        return """
            {"name":\(name.jsonQuoted),"network":\(network.jsonQuoted),"registers":\(list(registers)),\
            "start":\(start.map { "\($0)" } ?? "null"),"sinks":\(list(sinks)),"state":{\(state.joined(separator: ","))}}
            """
    }
}

/// A pipeline as the manager shows it.
public struct PipelineView: Sendable {
    public let puuid: PUUID
    public let request: PipelineRequest
    public let state: PipelineState
    /// Why it is in `error`.
    public let failure: SluiceError?
    /// The pipeline that does its work, when it was merged.
    public let mergedInto: PUUID?
    public let progress: PipelineProgress.Snapshot
    /// What an operator may do with it now.
    public let commands: [PipelineCommand.Name]
}
