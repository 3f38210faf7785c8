public import SluiceCore

/// A pipeline as it is asked for, in words: what a configuration or an operator says.
public struct PipelineRequest: Sendable, Hashable {
    /// A network that it reads.
    public struct Stream: Sendable, Hashable {
        public var network: String
        /// The first block; nil for the head.
        public var start: UInt64?

        public init(network: String, start: UInt64? = nil) {
            self.network = network
            self.start = start
        }
    }

    /// A sink that it loads, and what happens when that is slower than what comes.
    public struct SinkUse: Sendable, Hashable {
        public var sink: String
        public var whenFull: WhenFull

        public init(_ sink: String, whenFull: WhenFull = .block) {
            self.sink = sink
            self.whenFull = whenFull
        }
    }

    public var name: String
    /// One, or those that an aggregator combines.
    public var streams: [Stream]
    public var registers: [String]
    /// How streams are combined; nil for a pipeline of one network.
    public var synchronization: SynchronizationPolicy?
    /// What registers were told beside their name, by register, as text that is the same for what does the same.
    public var options: [String: String]
    public var sinks: [SinkUse]
    /// Addresses and the like for its addressable registers: by register, member and what belongs to the member.
    public var state: [String: [String: [String]]]

    public init(
        name: String, streams: [Stream], registers: [String], synchronization: SynchronizationPolicy? = nil,
        options: [String: String] = [:],
        sinks: [SinkUse], state: [String: [String: [String]]] = [:]
    ) {
        self.name = name
        self.streams = streams
        self.registers = registers
        self.synchronization = synchronization
        self.options = options
        self.sinks = sinks
        self.state = state
    }

    /// One that reads a single network.
    public init(
        name: String, network: String, registers: [String], start: UInt64? = nil, sinks: [String], state: [String: [String: [String]]] = [:]
    ) {
        self.init(
            name: name, streams: [Stream(network: network, start: start)], registers: registers, sinks: sinks.map { SinkUse($0) },
            state: state)
    }

    /// Whether it is asked for what lies behind the head.
    public var hasHistory: Bool { streams.contains { $0.start != nil } }

    /// As JSON, the same for equal requests.
    public var json: String {
        func list(_ texts: [String]) -> String { "[" + texts.joined(separator: ",") + "]" }
        func members(_ members: [String: String]) -> String {
            "{" + members.sorted { $0.key < $1.key }.map { $0.key.jsonQuoted + ":" + $0.value }.joined(separator: ",") + "}"
        }
        return members([
            "name": name.jsonQuoted,
            "streams": list(streams.map { members(["network": $0.network.jsonQuoted, "start": $0.start.map { "\($0)" } ?? "null"]) }),
            "registers": list(registers.map(\.jsonQuoted)), "synchronization": synchronization.map { "\($0)".jsonQuoted } ?? "null",
            "options": members(options.mapValues(\.jsonQuoted)),
            "sinks": list(sinks.map { members(["sink": $0.sink.jsonQuoted, "when_full": $0.whenFull.description.jsonQuoted]) }),
            "state": members(state.mapValues { members($0.mapValues { list($0.map(\.jsonQuoted)) }) }),
        ])
    }
}

extension PipelineRequest {
    /// Reads what `json` made.
    /// - Throws: `invalid_pipeline` (class `config`), with the place.
    public init(json: String) throws(SluiceError) {
        var reader = JSONTreeReader(
            json, reading: "the definition of a pipeline", code: .invalidPipeline, remedy: "remove the pipeline and make it anew")
        let document = try reader.document()
        func texts(_ name: String) throws(SluiceError) -> [String] { try list(name) { $0.text } }
        func list<T>(_ name: String, _ read: (JSONNode) -> T?) throws(SluiceError) -> [T] {
            guard let items = document[name]?.items, case let all = items.compactMap(read), all.count == items.count else {
                throw reader.fault(
                    at: document[name]?.offset ?? document.offset, "\(name) is missing or malformed", "make the pipeline anew")
            }
            return all
        }
        guard let name = document["name"]?.text else {
            throw reader.fault(at: document.offset, "the name is missing", "make the pipeline anew")
        }
        let synchronization = try document["synchronization"].flatMap { node throws(SluiceError) -> SynchronizationPolicy? in
            guard let text = node.text else { return nil }
            guard let policy = SynchronizationPolicy(text) else {
                throw reader.fault(at: node.offset, "no policy is called \(text)", "make the pipeline anew")
            }
            return policy
        }
        self.init(
            name: name,
            streams: try list("streams") { node in
                node["network"]?.text.map { Stream(network: $0, start: node["start"]?.whole) }
            }, registers: try texts("registers"), synchronization: synchronization,
            options: document["options"]?.members?.compactMapValues(\.text) ?? [:],
            sinks: try list("sinks") { node in
                guard let sink = node["sink"]?.text, let whenFull = node["when_full"]?.text.flatMap({ WhenFull($0) }) else { return nil }
                return SinkUse(sink, whenFull: whenFull)
            },
            state: document["state"]?.members?.compactMapValues { register in
                register.members?.compactMapValues { $0.items?.compactMap(\.text) }
            } ?? [:])
    }
}

extension WhenFull {
    /// As the runtime has it.
    /// - Parameter folder: belongs to this pipeline's way into this sink alone.
    public func policy(folder: String) -> EdgePolicy {
        switch self {
        case .block: .block
        case .spill(let limit): .spill(SpillSpace(folder: folder, limit: limit))
        case .dropNewest: .dropNewest
        }
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
    /// What the components that work for it do, oracles included, by their identities. One that failed stays there, terminated.
    public let components: [CUUID: ActivityState]
    public let progress: PipelineProgress.Snapshot
    /// What an operator may do with it now.
    public let commands: [PipelineCommand.Name]
}
