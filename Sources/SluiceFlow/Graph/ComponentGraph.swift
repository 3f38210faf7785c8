import SluiceCore
import Synchronization

/// The components behind one oracle, and the branches that hang from them.
///
/// A register that several branches ask for has one component: it runs once for each batch, and is gone with the last branch that
/// asks for it. Components run in the oracle's task, one behind the other, in the order of their dependencies: an edge between two
/// of them is a call. Edges into sinks are channels, because sinks have threads of their own.
final class ComponentGraph: Egress {
    /// One component at work.
    private struct Node {
        let register: Register
        var pipe: any Pipe
        var users: Int
        var rows = RowCount()
    }

    /// A branch and where its rows go.
    private struct Outlet {
        let branch: Branch
        let edges: [GraphEdge]
    }

    private struct State {
        var nodes: [Node] = []
        var outlets: [Outlet] = []
        var position: Position?
    }

    private let registry: Registry
    private let deadLetters: any DeadLetterOffice
    private let state = Mutex(State())
    /// Called when the last branch is gone, or when what must be fetched has changed.
    private let changed: @Sendable (Change) -> Void

    enum Change: Sendable {
        case needs, empty
    }

    init(registry: Registry, position: Position?, deadLetters: any DeadLetterOffice, changed: @escaping @Sendable (Change) -> Void) {
        self.registry = registry
        self.deadLetters = deadLetters
        self.changed = changed
        state.withLock { $0.position = position }
    }

    // MARK: - Branches

    /// The last block that went to all branches.
    var position: Position? { state.withLock { $0.position } }

    func start(at position: Position?) { state.withLock { $0.position = position } }

    var branches: [Branch] { state.withLock { $0.outlets.map(\.branch) } }

    /// What the oracle must read for all branches.
    var needs: [Need] { state.withLock { $0.nodes.flatMap(\.register.needs) } }

    /// What went through every component, by its register.
    var components: [ComponentStatistics] {
        state.withLock { $0.nodes.map { ComponentStatistics(register: $0.register.name, users: $0.users, rows: $0.rows) } }
    }

    /// Hangs branches into the graph; components that they need and that are not there yet are made.
    func add(_ added: [(branch: Branch, edges: [GraphEdge])]) throws {
        try state.withLock { state in
            for (branch, edges) in added {
                for register in try registry.components(of: branch.definition.registers) {
                    if let index = state.nodes.firstIndex(where: { $0.register.name == register.name }) {
                        state.nodes[index].users += 1
                    } else {
                        state.nodes.append(Node(register: register, pipe: register.makePipe(), users: 1))
                    }
                }
                state.outlets.append(Outlet(branch: branch, edges: edges))
            }
            state.nodes.sort { registry.order($0.register.name) < registry.order($1.register.name) }
        }
        changed(.needs)
    }

    /// Takes a branch out; what was sent to it still lands. Does nothing when it is not there.
    func remove(_ branch: Branch, failing error: (any Error)? = nil) {
        let (outlet, isEmpty): (Outlet?, Bool) = state.withLock { state in
            guard let index = state.outlets.firstIndex(where: { $0.branch === branch }) else { return (nil, state.outlets.isEmpty) }
            let outlet = state.outlets.remove(at: index)
            let names = Set((try? registry.components(of: branch.definition.registers))?.map(\.name) ?? [])
            for index in state.nodes.indices where names.contains(state.nodes[index].register.name) { state.nodes[index].users -= 1 }
            state.nodes.removeAll { $0.users == 0 }
            return (outlet, state.outlets.isEmpty)
        }
        guard let outlet else { return }
        for edge in outlet.edges { error.map { edge.channel.fail($0) } ?? edge.channel.finish() }
        changed(isEmpty ? .empty : .needs)
    }

    /// Ends all edges: what was sent still lands.
    func finish() {
        for edge in state.withLock({ $0.outlets.flatMap(\.edges) }) { edge.channel.finish() }
    }

    /// Tells all branches what the oracle says of the network.
    func note(_ event: OracleEvent) {
        for branch in branches { branch.progress.note(event) }
    }

    // MARK: - Egress

    func send(_ transit: Transit) async throws {
        switch transit {
        case .batch(let batch): try await send(batch)
        case .rollback(let position):
            for branch in branches { branch.progress.update { $0.emitted = position } }
            try await deliver { _ in transit }
            for branch in branches {
                do {
                    try await deadLetters.forget(of: branch.stream, behind: position)
                } catch { fail(branch, error) }
            }
            state.withLock { state in
                for index in state.nodes.indices { state.nodes[index].pipe.rollback(to: position) }
                state.position = position
            }
        case .finalized: try await deliver { _ in transit }
        }
    }

    private func send(_ batch: Batch) async throws {
        let made = state.withLock { Self.run(batch, &$0) }
        for (branch, error) in made.failures { fail(branch, error) }
        for (branch, letters) in made.deadLetters {
            do { try await deadLetters.keep(letters, of: branch.stream) } catch {
                // A letter that is not kept would be a row that is gone.
                fail(branch, error)
            }
        }
        try await deliver { branch in made.batches.first { $0.branch === branch }.map { .batch($0.batch) } }
        for (branch, out) in made.batches {
            branch.progress.update { state in
                state.emitted = batch.span.last
                state.emittedTimestamp = batch.span.lastTimestamp
                state.blocks += UInt64(batch.span.count)
                for table in out.tables { state.rows[table.schema.name, default: 0] += table.rowCount }
            }
        }
        state.withLock { $0.position = batch.span.last }
        for branch in branches where branch.until.map({ $0 <= batch.span.last.number }) ?? false { remove(branch) }
    }

    /// Sends to every edge of every branch; what fails on the way takes its own branch out, and no other.
    private func deliver(_ transit: (Branch) -> Transit?) async throws {
        let outlets = state.withLock { $0.outlets }
        guard !outlets.isEmpty else { throw NobodyReads() }
        for outlet in outlets {
            guard let transit = transit(outlet.branch) else { continue }
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
    }

    private func fail(_ branch: Branch, _ error: any Error) { remove(branch, failing: error) }

    // MARK: - Components

    private struct Made {
        var batches: [(branch: Branch, batch: Batch)] = []
        var deadLetters: [(Branch, [DeadLetter])] = []
        var failures: [(Branch, any Error)] = []
    }

    /// Runs every component over a batch, and puts together what each branch gets.
    private static func run(_ batch: Batch, _ state: inout State) -> Made {
        var made = Made()
        var tables: [String: [Table]] = [:]
        var reports: [String: PipeReport] = [:]
        var errors: [String: any Error] = [:]
        for index in state.nodes.indices {
            let register = state.nodes[index].register
            if let broken = register.dependencies.first(where: { errors[$0] != nil }) {
                errors[register.name] = errors[broken]
                continue
            }
            var input = batch
            // What pipes before this one made stands beside what the oracle read.
            let derived = register.dependencies.flatMap { tables[$0] ?? [] }.filter { input.table($0.schema.name) == nil }
            if !derived.isEmpty { input = Batch(chainID: batch.chainID, span: batch.span, tables: batch.tables + derived) }
            var report = PipeReport()
            do {
                let out = try state.nodes[index].pipe.transform(input, report: &report)
                tables[register.name] = out
                reports[register.name] = report
                state.nodes[index].rows.add(in: input, needs: register.needs, out: out, report: report)
            } catch { errors[register.name] = error }
        }
        for outlet in state.outlets {
            let names = outlet.branch.definition.registers.map(\.name)
            if let error = names.lazy.compactMap({ errors[$0] }).first {
                made.failures.append((outlet.branch, error))
                continue
            }
            var own: [Table] = []
            for name in names {
                // Two registers may make the same table (`geth_block` and `logs`): it is loaded once.
                for table in tables[name] ?? [] where !own.contains(where: { $0.schema.name == table.schema.name }) { own.append(table) }
            }
            var letters: [DeadLetter] = []
            for name in names { letters += reports[name]?.deadLetters ?? [] }
            if !letters.isEmpty { made.deadLetters.append((outlet.branch, letters)) }
            made.batches.append((outlet.branch, Batch(chainID: batch.chainID, span: batch.span, tables: own)))
        }
        return made
    }
}

/// Thrown into an oracle when no branch is left to read for.
struct NobodyReads: Error {}
