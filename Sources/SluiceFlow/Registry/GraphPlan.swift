public import SluiceCore

/// The graph that a whole configuration makes: where data comes from, every component once, every pipeline and sink, and what flows
/// between them. Pure: nothing is connected to.
public struct GraphPlan: Sendable, Hashable {
    /// A network as the plan knows it.
    public struct Network: Sendable, Hashable {
        public let name: String
        public let chainID: UInt64
        public let kind: NetworkKind
        /// As they may be shown.
        public let endpoints: [String]

        public init(name: String, chainID: UInt64, kind: NetworkKind, endpoints: [String]) {
            self.name = name
            self.chainID = chainID
            self.kind = kind
            self.endpoints = endpoints
        }
    }

    /// A pipeline as the plan knows it.
    public struct Pipeline: Sendable, Hashable {
        public let name: String
        /// One, or those whose streams it combines.
        public let networks: [String]
        public let registers: [String]
        public let sinks: [String]
        /// How streams are combined; nil for a pipeline of one network.
        public let policy: SynchronizationPolicy?

        public init(name: String, networks: [String], registers: [String], policy: SynchronizationPolicy? = nil, sinks: [String]) {
            self.name = name
            self.networks = networks
            self.policy = policy
            self.registers = registers
            self.sinks = sinks
        }
    }

    /// A sink as the plan knows it.
    public struct Sink: Sendable, Hashable {
        public let name: String
        public let type: String
        public let delivery: Delivery
        /// Whether it is given only what is final.
        public let holdsBack: Bool

        public init(name: String, type: String, delivery: Delivery, holdsBack: Bool) {
            self.name = name
            self.type = type
            self.delivery = delivery
            self.holdsBack = holdsBack
        }
    }

    /// What a node stands for.
    public enum Kind: String, Sendable, CaseIterable {
        case network, oracle, pipe, aggregator, pipeline, sink
    }

    /// A point of the graph.
    public struct Node: Sendable, Hashable {
        /// Unique in the plan, and the same whenever the same configuration is planned.
        public let id: String
        public let kind: Kind
        /// What the configuration or the registry calls it.
        public let name: String
        /// The PID of a component (`layer1:live:pipe:logs`) or of the first register of a pipeline; nil for the others.
        public let pid: String?
        /// What else is worth knowing, in a few words each.
        public let notes: [String]
        /// How many pipelines use it.
        public let users: Int
    }

    /// What flows from one node to another.
    public struct Edge: Sendable, Hashable {
        public let from: String
        public let to: String
        /// The tables; empty where whole replies or whole batches flow.
        public let tables: [String]
    }

    /// Sources first.
    public let nodes: [Node]
    public let edges: [Edge]

    /// - Throws: `unknown_register`.
    public init(registry: Registry, networks: [Network], pipelines: [Pipeline], sinks: [Sink], type: PipelineType = .live)
        throws(SluiceError)
    {
        var drawing = Drawing(registry: registry, type: type)
        for network in networks {
            let own = pipelines.filter { $0.networks.contains(network.name) }
            drawing.add(network, users: own.count)
            for pipeline in own where pipeline.policy == nil { try drawing.add(pipeline, on: network) }
        }
        for pipeline in pipelines where pipeline.policy != nil {
            try drawing.add(pipeline, combining: pipeline.networks.compactMap { name in networks.first { $0.name == name } })
        }
        for sink in sinks { drawing.add(sink, users: pipelines.filter { $0.sinks.contains(sink.name) }.count) }
        let order = Kind.allCases
        func rank(_ node: Node) -> Int { order.firstIndex(of: node.kind) ?? 0 }
        // Within a kind they keep the order in which they were met.
        nodes = drawing.nodes.enumerated().sorted { (rank($0.element), $0.offset) < (rank($1.element), $1.offset) }
            .map { $0.element.with(users: drawing.users[$0.element.id]?.count) }
        edges = drawing.edges
    }

    /// The node of an id; nil when there is none.
    public func node(_ id: String) -> Node? { nodes.first { $0.id == id } }
    /// Where the edges of a node lead.
    public func targets(of id: String) -> [Node] { edges.filter { $0.from == id }.compactMap { node($0.to) } }
}

extension GraphPlan.Node {
    fileprivate func with(users: Int?) -> Self {
        Self(id: id, kind: kind, name: name, pid: pid, notes: notes, users: users ?? self.users)
    }
}

/// A graph in the making.
private struct Drawing {
    let registry: Registry
    let type: PipelineType
    var nodes: [GraphPlan.Node] = []
    var edges: [GraphPlan.Edge] = []
    /// The pipelines that use a component.
    var users: [String: Set<String>] = [:]

    mutating func add(_ network: GraphPlan.Network, users: Int) {
        put(.network, "network:\(network.name)", network.name, ["chain \(network.chainID)"] + network.endpoints, users: users)
    }

    mutating func add(_ sink: GraphPlan.Sink, users: Int) {
        put(
            .sink, "sink:\(sink.name)", sink.name,
            [sink.type, sink.delivery.rawValue, sink.holdsBack ? "held back to finality" : "orphaned rows are undone"], users: users)
    }

    /// A pipeline with the components that it needs, each of which stands in the plan once.
    mutating func add(_ pipeline: GraphPlan.Pipeline, on network: GraphPlan.Network) throws(SluiceError) {
        let id = "pipeline:\(pipeline.name)"
        let pid = try pipeline.registers.first.map { name throws(SluiceError) in
            try registry.pipelinePID(of: name, network: network.kind, type: type)
        }
        put(.pipeline, id, pipeline.name, [], pid: pid.map { "\($0)" }, users: 1)
        for name in pipeline.registers {
            for register in try registry.path(of: name).reversed() { try add(register, for: pipeline, on: network) }
            let register = try registry.register(name)
            put(edge: self.id(register, pipeline, network), id, register.schemas.map(\.name))
        }
        for sink in pipeline.sinks { put(edge: id, "sink:\(sink)", []) }
    }

    /// A pipeline whose register combines what its dependencies make of several networks.
    mutating func add(_ pipeline: GraphPlan.Pipeline, combining networks: [GraphPlan.Network]) throws(SluiceError) {
        guard let name = pipeline.registers.first, let first = networks.first, let policy = pipeline.policy else { return }
        let id = "pipeline:\(pipeline.name)"
        let aggregator = "component:\(pipeline.name):\(name)"
        let register = try registry.register(name)
        let pid = try registry.componentPID(of: name, network: first.kind, type: type)
        put(.pipeline, id, pipeline.name, [], pid: "\(try registry.pipelinePID(of: name, network: first.kind, type: type))", users: 1)
        put(.aggregator, aggregator, name, ["\(policy)"], pid: "\(pid)", users: 1)
        put(edge: aggregator, id, register.schemas.map(\.name))
        for network in networks {
            for dependency in register.dependencies {
                for part in try registry.path(of: dependency).reversed() { try add(part, for: pipeline, on: network) }
                let made = try registry.register(dependency)
                put(edge: self.id(made, pipeline, network), aggregator, made.schemas.map(\.name))
            }
        }
        for sink in pipeline.sinks { put(edge: id, "sink:\(sink)", []) }
    }

    private mutating func add(_ register: Register, for pipeline: GraphPlan.Pipeline, on network: GraphPlan.Network) throws(SluiceError) {
        let id = id(register, pipeline, network)
        let pid = try registry.componentPID(of: register.name, network: network.kind, type: type)
        let kind = GraphPlan.Kind(rawValue: "\(register.kind)") ?? .pipe
        users[id, default: []].insert(pipeline.name)
        put(kind, id, register.name, register.isAddressed ? ["addressed"] : [], pid: "\(pid)", users: 1)
        if register.kind == .oracle { put(edge: "network:\(network.name)", id, []) }
        for name in register.dependencies {
            let dependency = try registry.register(name)
            let made = Set(dependency.schemas.map(\.name))
            let tables = register.needs.map(\.table).filter { made.contains($0) }
            put(edge: self.id(dependency, pipeline, network), id, tables)
        }
    }

    /// An addressed component works for one pipeline, the others for all of their network.
    private func id(_ register: Register, _ pipeline: GraphPlan.Pipeline, _ network: GraphPlan.Network) -> String {
        "component:\(network.name):\(register.name)" + (register.isAddressed ? ":\(pipeline.name)" : "")
    }

    private mutating func put(
        _ kind: GraphPlan.Kind, _ id: String, _ name: String, _ notes: [String], pid: String? = nil, users: Int
    ) {
        guard !nodes.contains(where: { $0.id == id }) else { return }
        nodes.append(GraphPlan.Node(id: id, kind: kind, name: name, pid: pid, notes: notes, users: users))
    }

    private mutating func put(edge from: String, _ to: String, _ tables: [String]) {
        let edge = GraphPlan.Edge(from: from, to: to, tables: tables)
        if !edges.contains(edge) { edges.append(edge) }
    }
}
