import SluiceCore
import Synchronization

/// The components behind one oracle, and the branches that hang from them.
///
/// A register that several branches ask for has one component: it runs once for each batch, and is gone with the last branch that
/// asks for it. Components run in the oracle's task, one behind the other, in the order of their dependencies: an edge between two
/// of them is a call. Edges into sinks are channels, because sinks have threads of their own.
final class ComponentGraph: Egress {
    private let surroundings: Hub.Surroundings
    private let floor: UInt64?
    /// Whether it looks before each batch whether something else is asked for by now.
    private let follows: Bool
    private let state = Mutex(GraphState())
    private let roll = Mutex(ComponentRoll())
    private let turn = Turn()
    /// Called when the last branch is gone, or when what must be fetched has changed.
    private let changed: @Sendable (Change) -> Void

    enum Change: Sendable {
        case needs, empty
    }

    private var registry: Registry { surroundings.registry }
    private var journal: any StreamJournal { surroundings.journal }

    /// - Parameters:
    ///   - floor: the first block that it is read from; nil: what lies below may be undone as well.
    ///   - follows: whether it goes by what the shared state holds at each batch, not only by what it held when branches came.
    init(
        _ surroundings: Hub.Surroundings, position: Position?, floor: UInt64? = nil, follows: Bool = false,
        changed: @escaping @Sendable (Change) -> Void
    ) {
        self.surroundings = surroundings
        self.follows = follows
        self.changed = changed
        self.floor = floor
        state.withLock { $0.position = position }
    }

    // MARK: - Branches

    /// The last block that went to all branches.
    var position: Position? { state.withLock { $0.position } }

    func start(at position: Position?) { state.withLock { $0.position = position } }

    var branches: [Branch] { state.withLock { $0.outlets.map(\.branch) } }

    /// What the oracle must read for all branches.
    var needs: [Need] {
        registry.needs(of: branches.map(\.told.definition))
    }

    /// What went through every component, by its register.
    var components: [ComponentStatistics] {
        let nodes = state.withLock { $0.nodes }
        return roll.withLock { roll in
            nodes.map { ComponentStatistics(register: $0.register.name, users: roll.pipelines(using: $0.key), rows: $0.rows) }
        }
    }

    /// Hangs branches into the graph; components that they need and that are not there yet are made. Nothing may be read meanwhile: what
    /// was found before is looked up as far as the graph has come. A branch that cannot be told what to look at ends alone, unless that
    /// may pass.
    func add(_ added: [(branch: Branch, edges: [GraphEdge])]) async throws {
        var findings: [GraphState.Key: [Finding]] = [:]
        var ready: [(branch: Branch, edges: [GraphEdge])] = []
        for (branch, edges) in added {
            do {
                try registry.checkTold(branch.definition.registers)
                try await branch.told.look(surroundings.log)
            } catch {
                if Hub.passes(error) || Task.isCancelled { throw error }
                branch.end(failing: error)
                for edge in edges { edge.edge.fail(error) }
                continue
            }
            ready.append((branch, edges))
            try await findings.merge(self.findings(of: branch)) { _, new in new }
        }
        let known = findings
        let told = ready
        try state.withLock { state in
            for (branch, edges) in told {
                // What is needed comes before what needs it, and stays as long as that does.
                for (key, register) in try components(of: branch) {
                    if let index = state.nodes.firstIndex(where: { $0.key == key }) {
                        state.nodes[index].users += 1
                    } else {
                        let pipe = try register.makePipe(branch.definition.context(known[key] ?? []))
                        let rank = try registry.path(of: register.name).count
                        state.nodes.append(GraphState.Node(key: key, register: register, rank: rank, pipe: pipe, users: 1, of: branch))
                    }
                }
                state.outlets.append(GraphState.Outlet(branch: branch, edges: edges))
            }
            state.nodes.sort { $0.rank < $1.rank }
            state.connect()
        }
        for (branch, _) in told {
            for (key, register) in try parts(of: branch) {
                tell(roll.withLock { $0.join(branch, key) { surroundings.identities.next(register) } })
            }
        }
        changed(.needs)
    }

    /// Notes that reading begins.
    func begin() { tell(roll.withLock { $0.begin() }) }

    /// Tells whom it concerns what components do now.
    private func tell(_ news: ComponentRoll.News) {
        for (branch, change) in news { branch.tell(.component(change)) }
    }

    /// What the components of a branch found in the blocks before the next one.
    private func findings(of branch: Branch) async throws -> [GraphState.Key: [Finding]] {
        var findings: [GraphState.Key: [Finding]] = [:]
        // Without a block behind it, a reading knows of what lies below its first one.
        guard let last = position?.number ?? (floor ?? branch.start).flatMap({ $0 > 0 ? $0 - 1 : nil }) else { return [:] }
        for (key, register) in try components(of: branch) where register.keepsFindings {
            findings[key] = try await journal.findings(of: branch.stream, register: register.name, through: last)
        }
        return findings
    }

    /// The components that a branch needs, each before what reads it. An oracle register is a component only when it is asked for itself:
    /// what the oracle reads is there anyway. The pipeline's own registers go before those of the registry.
    private func components(of branch: Branch) throws -> [(GraphState.Key, Register)] {
        let asked = branch.definition.registers.map(\.name)
        return try parts(of: branch).filter { $0.1.kind != .oracle || asked.contains($0.1.name) }
    }

    /// All that a branch is made of, oracles included, each before what reads it.
    private func parts(of branch: Branch) throws -> [(GraphState.Key, Register)] {
        var found: [(GraphState.Key, Register)] = []
        let definition = branch.told.definition
        let registry = registry.with(definition.registers)
        for name in definition.registers.map(\.name) {
            for register in try registry.path(of: name).reversed() {
                let key = GraphState.Key(register: register.name, pipeline: register.isAddressed ? branch.name : nil)
                if !found.contains(where: { $0.0 == key }) { found.append((key, register)) }
            }
        }
        return found
    }

    /// Takes a branch out; what was sent to it still lands. Does nothing when it is not there.
    func remove(_ branch: Branch, failing error: (any Error)? = nil) { remove(branch, failing: error, because: nil) }

    private func remove(_ branch: Branch, failing error: (any Error)?, because failure: ComponentFailure?) {
        let (outlet, isEmpty): (GraphState.Outlet?, Bool) = state.withLock { state in
            guard let index = state.outlets.firstIndex(where: { $0.branch === branch }) else { return (nil, state.outlets.isEmpty) }
            let outlet = state.outlets.remove(at: index)
            let keys = Set((try? components(of: branch))?.map(\.0) ?? [])
            for index in state.nodes.indices where keys.contains(state.nodes[index].key) { state.nodes[index].users -= 1 }
            state.nodes.removeAll { $0.users == 0 }
            state.connect()
            return (outlet, state.outlets.isEmpty)
        }
        guard let outlet else { return }
        tell(roll.withLock { $0.leave(branch, failure) })
        for edge in outlet.edges { error.map { edge.edge.fail($0) } ?? edge.edge.finish() }
        changed(isEmpty ? .empty : .needs)
    }

    // MARK: - What is asked for

    /// Looks whether branches ask for something else by now, and gives them components that know. Returns whether something else must be
    /// read for them.
    private func lookAgain() async throws -> Bool {
        var isOther = false
        for branch in branches {
            guard let before = try await branch.told.lookAgain(surroundings.log, at: surroundings.time.now()) else { continue }
            do { try await remake(branch) } catch {
                fail(branch, error)
                continue
            }
            if registry.needs(of: [before]) != registry.needs(of: [branch.told.definition]) { isOther = true }
        }
        return isOther
    }

    /// Puts new components in the place of those that work for a branch alone. What they found is kept, what went through them too.
    private func remake(_ branch: Branch) async throws {
        let known = try await findings(of: branch)
        let components = try components(of: branch)
        try state.withLock { state in
            for (key, register) in components where key.pipeline != nil {
                guard let index = state.nodes.firstIndex(where: { $0.key == key }) else { continue }
                let pipe = try register.makePipe(branch.definition.context(known[key] ?? []))
                state.nodes[index].become(register, pipe, of: branch)
            }
        }
    }

    /// Ends all edges: what was sent still lands.
    func finish() {
        for edge in state.withLock({ $0.outlets.flatMap(\.edges) }) { edge.edge.finish() }
        tell(roll.withLock { $0.end() })
    }

    /// Tells all branches what the oracle says of the network.
    func note(_ event: OracleEvent) {
        for branch in branches { branch.progress.note(event) }
    }

    // MARK: - By itself

    /// What the components make of a batch. It goes nowhere, and nothing of it is kept.
    func make(_ batch: Batch) -> GraphState.Made { state.withLock { $0.run(batch) } }

    // MARK: - Egress

    /// Returns when nothing is on its way between the oracle and the edges: what components have seen is in all edges, or will be made
    /// of the block anew.
    func settled() async { await turn.take {} }

    func send(_ transit: Transit) async throws {
        if !turn.enterNow() { await turn.enter() }
        defer { turn.leave() }
        switch transit {
        case .batch(let batch):
            if follows { try await reconsider() }
            if let made = sendNow(batch) { try await deliver(made, of: batch.span) }
        case .rollback(let position):
            if let floor, position.number + 1 < floor {
                // Sinks hold other blocks down there than this reading knows of: they are settled first.
                throw SluiceError(.onTwoBranches, .retry, "the chain changed below block \(floor) while it was read from there")
            }
            for branch in branches { branch.progress.update { $0.emitted = position } }
            // First of all: should this be interrupted, reading goes on from a block that all edges have, whether they heard of it or not.
            state.withLock { $0.position = position }
            try await deliver(transit)
            let outlets = state.withLock { $0.outlets }
            for outlet in outlets {
                let branch = outlet.branch
                do {
                    let boundary = branch.boundary(of: position, undoing: outlets.flatMap(\.edges).map(\.sink))
                    try await journal.forgetLetters(of: branch.stream, behind: boundary)
                } catch { fail(branch, error) }
            }
            let learning = state.withLock { state in
                for index in state.nodes.indices { state.nodes[index].pipe.rollback(to: position) }
                state.seen = min(state.seen, position.number)
                return state.nodes.compactMap { node in node.stream.map { (node.register.name, $0) } }
            }
            for (register, stream) in learning where position.number < .max {
                await keep([], register, stream, in: position.number + 1 ... .max)
            }
        case .finalized: try await deliver(transit)
        }
    }

    /// What was read for other wishes is read again, but once only: whoever changes them faster than blocks are read does not hold the blocks
    /// up.
    private func reconsider() async throws {
        guard !state.withLock({ $0.wasReadAgain }), try await lookAgain() else { return }
        state.withLock { $0.wasReadAgain = true }
        throw NeedsChanged()
    }

    /// Lets a batch through if nothing has to be waited for, as nearly always: without a suspension it costs half. Returns what was
    /// made of it when some have not got theirs.
    private func sendNow(_ batch: Batch) -> GraphState.Made? {
        let made = state.withLock { state in
            state.wasReadAgain = false
            return state.run(batch)
        }
        guard made.isPlain, made.parcels.sendNow() else { return made }
        note(made.parcels, batch.span)
        return nil
    }

    private func deliver(_ made: GraphState.Made, of span: Span) async throws {
        for (branch, failure) in made.failures { remove(branch, failing: failure.cause, because: failure) }
        // Before the rows go on: a sink that holds a block must never know of more than is kept.
        for (register, stream, findings) in made.findings {
            await keep(findings, register, stream, in: span.first...span.last.number)
        }
        for (branch, letters) in made.deadLetters {
            do { try await journal.keep(letters, of: branch.stream) } catch {
                // A letter that is not kept would be a row that is gone.
                for other in branches where other.stream == branch.stream { fail(other, error) }
            }
        }
        if made.mayBeLast, branches.isEmpty { throw NobodyReads() }
        // An edge that has got its batch leaves it out.
        for parcel in made.parcels { try await deliver(.batch(parcel.batch), to: parcel.outlet) }
        note(made.parcels, span)
    }

    /// Notes that every branch has got its own.
    private func note(_ parcels: [GraphState.Parcel], _ span: Span) {
        let last = span.last
        var hasEnded = false
        for index in parcels.indices {
            parcels[index].outlet.progress.sent(parcels[index].batch.tables, of: span)
            if let until = parcels[index].outlet.until, until <= last.number { hasEnded = true }
        }
        state.withLock { $0.position = last }
        guard hasEnded else { return }
        for parcel in parcels where parcel.outlet.until.map({ $0 <= last.number }) ?? false { remove(parcel.outlet.branch) }
    }

    /// Sends to every edge of every branch.
    private func deliver(_ transit: Transit) async throws {
        let outlets = state.withLock { $0.outlets }
        guard !outlets.isEmpty else { throw NobodyReads() }
        for outlet in outlets { try await deliver(transit, to: outlet) }
    }

    /// Sends to every edge of a branch; what fails on the way takes that branch out, and no other.
    private func deliver(_ transit: Transit, to outlet: GraphState.Outlet) async throws {
        for edge in outlet.edges {
            do { try await edge.send(transit) } catch {
                if Task.isCancelled { throw CancellationError() }
                // A branch that left meanwhile has finished its edges.
                guard state.withLock({ state in state.outlets.contains { $0.branch === outlet.branch } }) else { break }
                fail(outlet.branch, error)
                break
            }
        }
    }

    private func fail(_ branch: Branch, _ error: any Error) { remove(branch, failing: error) }

    /// Keeps what a component found in some blocks, in the place of what was found when they were read before.
    private func keep(_ findings: [Finding], _ register: String, _ stream: StreamID, in blocks: ClosedRange<UInt64>) async {
        do { try await journal.replaceFindings(findings, in: blocks, of: stream, register: register) } catch {
            for branch in branches where branch.stream == stream { fail(branch, error) }
        }
    }
}

extension SluiceError.Code {
    /// The chain changed below the blocks that are being read, or sinks that should go on together stand on different branches of it.
    static let onTwoBranches = Self("on_two_branches")
}

/// Thrown into an oracle when no branch is left to read for.
struct NobodyReads: Error {}

/// Thrown into an oracle when something else is asked for than it was made to read.
struct NeedsChanged: Error {}
