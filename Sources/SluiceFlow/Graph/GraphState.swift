import SluiceCore

/// The components of a graph, who reads from whom, and what becomes of a batch on its way through them. No I/O, and no lock:
/// `ComponentGraph` has one.
struct GraphState {
    /// What tells components apart: an addressable one works for one pipeline.
    struct Key: Hashable {
        let register: String
        let pipeline: String?
    }

    /// One component at work.
    struct Node {
        let key: Key
        private(set) var register: Register
        /// How many components it is made from: more than any of those.
        let rank: Int
        var pipe: any Pipe
        var users: Int
        /// Whose findings it keeps; nil when it has none.
        private(set) var stream: StreamID?
        /// Where those stand that it reads from; all of them before it.
        var sources: [Int] = []
        var rows = RowCount()

        init(key: Key, register: Register, rank: Int, pipe: any Pipe, users: Int, of branch: Branch) {
            self.key = key
            self.register = register
            self.rank = rank
            self.pipe = pipe
            self.users = users
            stream = register.keepsFindings ? branch.stream : nil
        }

        /// Works as the register says by now.
        mutating func become(_ register: Register, _ pipe: any Pipe, of branch: Branch) {
            self.register = register
            self.pipe = pipe
            stream = register.keepsFindings ? branch.stream : nil
        }

        /// Lets the component work, and counts what went through.
        mutating func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
            let tables = try pipe.transform(batch, report: &report)
            rows.add(in: batch, needs: register.needs, out: tables, report: report)
            return tables
        }
    }

    /// A branch and where its rows go.
    final class Outlet: Sendable {
        let branch: Branch
        let edges: [GraphEdge]
        /// The branch's own, at hand for every batch.
        let progress: PipelineProgress
        let until: UInt64?

        init(branch: Branch, edges: [GraphEdge]) {
            self.branch = branch
            self.edges = edges
            progress = branch.progress
            until = branch.until
        }
    }

    var nodes: [Node] = []
    var outlets: [Outlet] = []
    /// For each outlet, where the components stand that it asks for, in the order of its registers.
    private var places: [[Int]] = []
    var position: Position?
    /// Whether the next batch was given back once because something else was asked for.
    var wasReadAgain = false
    /// The last block that components saw; behind `position` when what they made of it did not arrive everywhere.
    var seen: UInt64 = 0

    /// Where the component of a register stands that works for a pipeline.
    func place(of register: String, for pipeline: String?) -> Int? {
        nodes.firstIndex { $0.key.register == register && ($0.key.pipeline == nil || $0.key.pipeline == pipeline) }
    }

    /// Finds out who reads from whom: once a change, so that no batch has to look for names.
    mutating func connect() {
        for index in nodes.indices {
            let pipeline = nodes[index].key.pipeline
            nodes[index].sources = nodes[index].register.dependencies.compactMap { place(of: $0, for: pipeline) }
        }
        places = outlets.map { outlet in
            outlet.branch.definition.registers.compactMap { place(of: $0.name, for: outlet.branch.name) }
        }
    }

    // MARK: - Components

    /// What a branch gets.
    struct Parcel {
        let outlet: Outlet
        let batch: Batch
    }

    struct Made {
        var parcels: [Parcel] = []
        var deadLetters: [(Branch, [DeadLetter])] = []
        var failures: [(Branch, ComponentFailure)] = []
        var findings: [(register: String, stream: StreamID, findings: [Finding])] = []
        /// Whether nobody may be left to read for.
        var mayBeLast: Bool { parcels.isEmpty || !failures.isEmpty || !deadLetters.isEmpty }
        /// Whether there are rows to send on, and nothing else to do.
        var isPlain: Bool { !mayBeLast && findings.isEmpty }
    }

    /// What a component made of a batch.
    private struct Product {
        var tables: Result<[Table], ComponentFailure>
        var letters: [DeadLetter]
    }

    /// In the order of the components, while a batch goes through them.
    private var products: [Product] = []

    /// Runs every component over a batch, and puts together what each branch gets.
    mutating func run(_ batch: Batch) -> Made {
        defer { products.removeAll(keepingCapacity: true) }
        var made = Made()
        // A reading that was interrupted sends blocks again: components must not know already what they are about to learn.
        if batch.span.first > 0, batch.span.first <= seen {
            let before = Position(number: batch.span.first - 1, hash: batch.span.parentHash)
            for index in nodes.indices { nodes[index].pipe.rollback(to: before) }
        }
        seen = batch.span.last.number
        for index in nodes.indices {
            var report = PipeReport()
            do {
                let input = nodes[index].sources.isEmpty ? batch : try Self.input(from: nodes[index].sources, products, batch)
                let out = try nodes[index].transform(input, report: &report)
                products.append(Product(tables: .success(out), letters: report.deadLetters))
                if let stream = nodes[index].stream {
                    made.findings.append((nodes[index].register.name, stream, nodes[index].pipe.takeFindings()))
                }
            } catch {
                // One that it depends on failed, or it did.
                let failure = error as? ComponentFailure ?? ComponentFailure(component: nodes[index].key, cause: error)
                products.append(Product(tables: .failure(failure), letters: report.deadLetters))
            }
        }
        made.parcels.reserveCapacity(outlets.count)
        for index in outlets.indices {
            do {
                let (tables, letters) = try Self.parcel(places[index], products)
                // A pipeline has a branch for each of its sinks: what comes of a row is the same for all of them.
                if !letters.isEmpty, !made.deadLetters.contains(where: { $0.0.stream == outlets[index].branch.stream }) {
                    made.deadLetters.append((outlets[index].branch, letters))
                }
                made.parcels.append(
                    Parcel(outlet: outlets[index], batch: Batch(chainID: batch.chainID, span: batch.span, tables: tables)))
            } catch { made.failures.append((outlets[index].branch, error)) }
        }
        return made
    }

    /// What components before this one made, and beside it what the oracle read. A component reads what those make that it depends on: where
    /// a table has gone through one of them, it does not see it as the oracle read it.
    private static func input(from sources: [Int], _ products: [Product], _ batch: Batch) throws(ComponentFailure) -> Batch {
        var tables: [Table] = []
        tables.reserveCapacity(batch.tables.count + sources.count)
        for source in sources.indices {
            let known = tables.count
            let made = try products[sources[source]].tables.get()
            for index in made.indices where !tables.names(made[index].schema, before: known) { tables.append(made[index]) }
        }
        let made = tables.count
        for index in batch.tables.indices where !tables.names(batch.tables[index].schema, before: made) {
            tables.append(batch.tables[index])
        }
        return Batch(chainID: batch.chainID, span: batch.span, tables: tables)
    }

    /// What a branch gets of it all.
    private static func parcel(_ places: [Int], _ products: [Product]) throws(ComponentFailure) -> ([Table], [DeadLetter]) {
        if places.count == 1 { return (try products[places[0]].tables.get(), products[places[0]].letters) }
        var own: [Table] = []
        var dead: [DeadLetter] = []
        for place in places {
            // Two registers may make the same table (`geth_block` and `logs`): it is loaded once.
            for table in try products[place].tables.get() where !own.contains(where: { $0.schema.isNamed(as: table.schema) }) {
                own.append(table)
            }
            dead += products[place].letters
        }
        return (own, dead)
    }
}

extension [Table] {
    /// Whether one of the first tables has the name of a schema.
    fileprivate func names(_ schema: Schema, before end: Int) -> Bool {
        for index in 0..<end where self[index].schema.isNamed(as: schema) { return true }
        return false
    }
}

extension [GraphState.Parcel] {
    /// Sends each to the edges of its branch, until an edge has no room. Returns whether all had.
    func sendNow() -> Bool {
        for index in indices {
            for edge in self[index].outlet.edges.indices where !self[index].outlet.edges[edge].sendNow(self[index].batch) { return false }
        }
        return true
    }
}
