import SluiceCore
import Synchronization

/// What survives a crash of the process: the store behind a sink.
final class SimulatedStore: Sendable {
    struct Content: Sendable {
        var coverage = Coverage()
        /// By table, block hash and index: the row.
        var rows: [String: [Row: Int]] = [:]
    }

    struct Row: Hashable, Sendable {
        let number: Int64
        let hash: [UInt8]
        let index: Int64
        let value: Int64
    }

    let content = Mutex<[StreamID: Content]>([:])
    /// Rows (block and index) that it refuses for what they hold.
    let refused = Mutex<Set<[Int64]>>([])
    /// Whoever opened it last may write: an earlier process is dead.
    private let generation = Mutex(0)

    func newGeneration() -> Int {
        generation.withLock {
            $0 += 1; return $0
        }
    }
    func isCurrent(_ number: Int) -> Bool { generation.withLock { $0 == number } }

    func rows(_ stream: StreamID) -> [String: [Row: Int]] { content.withLock { $0[stream]?.rows ?? [:] } }
    func segments(_ stream: StreamID) -> [Segment] { content.withLock { $0[stream]?.coverage.segments ?? [] } }
}

/// A sink with transactions over such a store: slow, and failing now and then.
final class SimulatedSink: Sink {
    let delivery = Delivery.exactlyOnce
    let holdsBackToFinality: Bool
    let store: SimulatedStore
    let trouble: SimulatedTrouble
    let time: TimeSource
    let perTransaction: Int
    let generation: Int
    let isTraced: Bool

    init(_ store: SimulatedStore, trouble: SimulatedTrouble, time: TimeSource, perTransaction: Int, holdsBack: Bool, isTraced: Bool) {
        self.isTraced = isTraced
        self.store = store
        self.trouble = trouble
        self.time = time
        self.perTransaction = perTransaction
        holdsBackToFinality = holdsBack
        generation = store.newGeneration()
    }

    func open(_ stream: StreamID, tables: [Schema]) async throws -> any SinkStream {
        try await disturb()
        return SimulatedStream(sink: self, id: stream)
    }

    func close() async {}

    func disturb() async throws {
        if trouble.happens(3) { try await time.sleep(.milliseconds(trouble.pick(1...2000))) }
        if trouble.happens(0.2) { throw SluiceError(.init("simulated_sink"), .pause, "the simulated sink fails") }
    }
}

/// What was written is one transaction with the position; what is open dies with the process.
private final class SimulatedStream: SinkStream {
    private struct Open {
        var batches: [Batch] = []
        var taken: Coverage
    }
    private let sink: SimulatedSink
    private let id: StreamID
    private let open: Mutex<Open>

    init(sink: SimulatedSink, id: StreamID) {
        self.sink = sink
        self.id = id
        open = Mutex(Open(taken: sink.store.content.withLock { $0[id]?.coverage ?? Coverage() }))
    }

    func coverage() async throws -> [Segment] { open.withLock { $0.taken.segments } }

    func write(_ batch: Batch) async throws -> Position? {
        try await sink.disturb()
        if sink.isTraced { print("   ", id, "batch", batch.span.first, batch.span.last.number) }
        let isFull = try open.withLock { open in
            try open.taken.append(batch.span, stream: id)
            open.batches.append(batch)
            return open.batches.count >= sink.perTransaction
        }
        return isFull ? try commit() : nil
    }

    func flush() async throws -> Position? { try commit() }
    func finish() async throws -> Position? { try commit() }

    func rollback(to position: Position) async throws {
        if sink.isTraced { print("   ", id, "rollback to", position.number) }
        _ = try commit()
        try alive()
        sink.store.content.withLock { all in
            var content = all[id] ?? SimulatedStore.Content()
            guard let range = content.coverage.rollback(to: position) else { return }
            for table in content.rows.keys { content.rows[table] = content.rows[table]?.filter { !range.contains(UInt64($0.key.number)) } }
            all[id] = content
        }
        open.withLock { $0.taken = sink.store.content.withLock { $0[id]?.coverage ?? Coverage() } }
    }

    func amend(_ amendments: [Amendment]) async throws {
        if sink.isTraced { print("   ", id, "amend", amendments.map(\.block.number)) }
        try await sink.disturb()
        try alive()
        let rows = amendments.flatMap { refusal($0.rows, refusals($0.rows)) }
        if !rows.isEmpty { throw RowsRefused(rows) }
        try open.withLock { open in
            let staged = amendments.map { amendment in open.batches.firstIndex { $0.amended(by: amendment) != nil } }
            try sink.store.content.withLock { all in
                var content = all[id] ?? SimulatedStore.Content()
                for (amendment, place) in zip(amendments, staged) where place == nil {
                    try content.coverage.require(amendment.block, in: "\(id)")
                    try content.amend(amendment, in: "\(id)")
                }
                all[id] = content
            }
            for (amendment, place) in zip(amendments, staged) {
                guard let place, let batch = open.batches[place].amended(by: amendment) else { continue }
                open.batches[place] = batch
            }
        }
    }

    /// The rows of a table that the store refuses, by their places in it.
    private func refusals(_ table: Table) -> Set<Int> {
        let refused = sink.store.refused.withLock { $0 }
        guard !refused.isEmpty else { return [] }
        return Set((0..<table.rowCount).filter { refused.contains([table.columns[0].load($0), table.columns[2].load($0)]) })
    }

    private func refusal(_ table: Table, _ rows: Set<Int>) -> [RefusedRow] {
        rows.sorted().map { row in
            let block = BlockRef(number: table.columns[0].load(row), hash: table.columns[1].load(row))
            return RefusedRow(
                table: table.schema.name, row: table.rowName(row), block: block, reason: "simulated_refusal", message: "not this one",
                payload: "{}")
        }
    }

    /// Takes what the store refuses out of what is open.
    private func dropRefused() throws {
        let rows = open.withLock { open in
            var rows: [RefusedRow] = []
            for index in open.batches.indices {
                for table in open.batches[index].tables {
                    let places = refusals(table)
                    rows += refusal(table, places)
                    open.batches[index] = open.batches[index].without([table.schema.name: places])
                }
            }
            return rows
        }
        if !rows.isEmpty { throw RowsRefused(rows) }
    }

    /// A process that is dead writes nothing.
    private func alive() throws { if !sink.store.isCurrent(sink.generation) { throw CancellationError() } }

    private func commit() throws -> Position? {
        try alive()
        try dropRefused()
        let batches = open.withLock { open in
            defer { open.batches = [] }
            return open.batches
        }
        guard let last = batches.last else { return nil }
        try sink.store.content.withLock { all in
            var content = all[id] ?? SimulatedStore.Content()
            for batch in batches {
                try content.coverage.append(batch.span, stream: id)
                for table in batch.tables { content.add(table) }
            }
            all[id] = content
        }
        return last.span.last
    }
}

extension SimulatedStore.Content {
    mutating func add(_ table: Table) {
        for row in 0..<table.rowCount {
            let key = SimulatedStore.Row(
                number: table.columns[0].load(row, as: Int64.self), hash: Array(table.columns[1].bytes(row)),
                index: table.columns[2].load(row, as: Int64.self), value: table.columns[3].load(row, as: Int64.self))
            rows[table.schema.name, default: [:]][key, default: 0] += 1
        }
    }

    mutating func amend(_ amendment: Amendment, in place: String) throws {
        let (number, hash) = (Int64(amendment.block.number), amendment.block.hash.bytes)
        guard rows.values.allSatisfy({ $0.keys.allSatisfy { $0.number != number || $0.hash == hash } }) else {
            throw Coverage.differs(amendment.block, in: place)
        }
        let name = amendment.rows.schema.name
        rows[name] = rows[name]?.filter { $0.key.number != number || !amendment.places.contains(UInt64($0.key.index)) }
        add(amendment.rows)
    }
}
