import SluiceCore
import Synchronization
import Testing

@testable import SluiceFlow

/// What a document on graphs of components says, statement by statement: each test is named for one of them, and shows it with the
/// classes that run. `docs/component-graph.md` is the map.
@Suite("Component graph document", .timeLimit(.minutes(3))) enum ComponentGraphDocument {}

/// Makes numbers, one by one, by a function of its author's. What that leaves out is reported.
struct NumberPipe: Pipe {
    let sources: [String]
    let schemas: [Schema]
    let change: @Sendable (Int64) throws -> Int64?

    func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
        var rows: [(number: Int64, hash: Hash32, value: Int64)] = []
        for source in sources {
            guard let table = batch.table(source) else { throw SluiceError(.init("no_table"), .fatal, "no table \(source)") }
            for row in 0..<table.rowCount {
                let number = table.columns[0].load(row, as: Int64.self)
                // The numbers of the oracle are those of its blocks.
                guard let value = try change(table.column("value")?.load(row, as: Int64.self) ?? number) else {
                    report.filter("left out")
                    continue
                }
                rows.append((number, table.columns[1].load(row, as: Hash32.self), value))
            }
        }
        // Rows stand in the order of their blocks, whatever they were made of.
        rows.sort { $0.number < $1.number }
        var columns = schemas[0].fields.map { ColumnBuilder($0.type) }
        for row in rows {
            columns[0].append(row.number)
            columns[1].append(row.hash)
            columns[2].append(row.value)
        }
        return [Table(schema: schemas[0], columns: columns.map { $0.finish() }, rowCount: rows.count)]
    }

    static func schema(_ name: String) -> Schema {
        Schema(
            name: name, key: ["block_hash", "value"], doc: "",
            fields: [Field("block_number", .int64, ""), Field("block_hash", .fixedBytes(32), ""), Field("value", .int64, "")])
    }
}

/// A register of numbers that are made of those of others.
/// - Parameter table: what it reads of them; nil: the tables that are called like them.
func numbers(
    _ name: String, _ number: UInt8, of sources: String..., addressed key: StateKeyShape? = nil, reading table: String? = nil,
    by change: @escaping @Sendable (Int64) throws -> Int64?
) -> Register {
    let (schema, tables) = (NumberPipe.schema(name), table.map { [$0] } ?? sources)
    return Register(
        name: name, number: RegisterType(rawValue: number), doc: "", schemas: [schema], dependencies: sources,
        needs: tables.map { Need($0) }, isAddressed: key != nil, stateKey: key,
        maker: .pipe { _ in NumberPipe(sources: tables, schemas: [schema], change: change) })
}

/// Keeps batches as they come, and undoes what is undone. Says what came, in order.
final class TableSink: Sink {
    struct State {
        var coverage = Coverage()
        var batches: [Batch] = []
        /// `4-7`, `r5`, `f3`.
        var transits: [String] = []
        var schemas: [Schema] = []
        var streams: [StreamID] = []
        /// Takes nothing for now.
        var isHeld = false
    }

    let delivery = Delivery.exactlyOnce
    let holdsBackToFinality = false
    let state = Mutex(State())

    init(isHeld: Bool = false) { state.withLock { $0.isHeld = isHeld } }

    var transits: [String] { state.withLock { $0.transits } }
    var schemas: [Schema] { state.withLock { $0.schemas } }
    /// The blocks that it has, in order.
    var blocks: [BlockRef] {
        state.withLock { $0.batches.flatMap { batch in (batch.span.first...batch.span.last.number).map { batch.block($0) } } }
    }

    /// The parts of a table, in order.
    func tables(_ name: String) -> [Table] { state.withLock { $0.batches.compactMap { $0.table(name) } } }

    /// The numbers of a table: its column `value`, or that of another name.
    func values(_ table: String, _ column: String = "value") -> [Int64] {
        tables(table).flatMap { table in
            table.column(column).map { column in (0..<table.rowCount).map { column.load($0, as: Int64.self) } } ?? []
        }
    }

    func hold(_ isHeld: Bool) { state.withLock { $0.isHeld = isHeld } }

    func open(_ stream: StreamID, tables: [Schema]) async throws -> any SinkStream {
        state.withLock { state in
            state.schemas = tables
            state.streams.append(stream)
        }
        return Way(sink: self, id: stream)
    }

    func close() async {}

    private struct Way: SinkStream {
        let sink: TableSink
        let id: StreamID

        func coverage() async throws -> [Segment] { sink.state.withLock { $0.coverage.segments } }

        func write(_ batch: Batch) async throws -> Position? {
            while sink.state.withLock({ $0.isHeld }) { try await Task.sleep(for: .milliseconds(1)) }
            return try sink.state.withLock { state in
                try state.coverage.append(batch.span, stream: id)
                state.batches.append(batch)
                state.transits.append("\(batch.span.first)-\(batch.span.last.number)")
                return batch.span.last
            }
        }

        func rollback(to position: Position) async throws {
            sink.state.withLock { state in
                state.transits.append("r\(position.number)")
                _ = state.coverage.rollback(to: position)
                state.batches.removeAll { $0.span.first > position.number }
                if let last = state.batches.last, last.span.last.number > position.number {
                    state.batches[state.batches.count - 1] = last.through(block: position.number)
                }
            }
        }

        func finalized(_ number: UInt64) async throws { sink.state.withLock { $0.transits.append("f\(number)") } }
        func flush() async throws -> Position? { nil }
        func finish() async throws -> Position? { nil }
    }
}

extension Batch {
    fileprivate func block(_ number: UInt64) -> BlockRef { BlockRef(number: number, hash: span.hash(number)) }
}

/// A pipeline that is ready to join a hub.
func branch(
    _ name: String, _ registers: [Register], into sinks: [any Sink], start: UInt64? = 0, until: UInt64? = nil,
    state: (any SharedState)? = nil, notify: @escaping @Sendable (Branch.Event) -> Void = { _ in }
) -> Branch {
    Branch(
        PipelineDefinition(name: name, chainID: 1, registers: registers, start: start, state: state), goal: .follow(until: until),
        sinks: sinks.enumerated().map { SinkAttachment("sink\($0.offset)", $0.element) }, progress: PipelineProgress(), notify: notify)
}

extension Sequence {
    /// One element after the other.
    func asyncMap<R>(_ body: (Element) async throws -> R) async rethrows -> [R] {
        var results: [R] = []
        for element in self { results.append(try await body(element)) }
        return results
    }
}

/// Lets pipelines join a hub, and leave it when the body is done.
func following(_ hub: Hub, _ branches: [Branch], _ body: () async throws -> Void) async throws {
    try await working(hub) {
        hub.join(branches)
        try await body()
        for branch in branches { branch.leave() }
        for branch in branches { _ = await branch.ended() }
    }
}
