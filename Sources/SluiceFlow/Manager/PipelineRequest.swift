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
        func list(_ texts: [String]) -> String { "[" + texts.map(Self.quoted).joined(separator: ",") + "]" }
        let state = state.sorted { $0.key < $1.key }.map { register, members in
            Self.quoted(register) + ":{"
                + members.sorted { $0.key < $1.key }.map { Self.quoted($0.key) + ":" + list($0.value) }.joined(separator: ",") + "}"
        }
        return """
            {"name":\(Self.quoted(name)),"network":\(Self.quoted(network)),"registers":\(list(registers)),\
            "start":\(start.map { "\($0)" } ?? "null"),"sinks":\(list(sinks)),"state":{\(state.joined(separator: ","))}}
            """
    }

    private static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case _ where scalar.value < 32:
                let hex = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
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
