import SluiceCore
import SluiceFlow
import Synchronization

/// One column of numbers under a name: what the measured components hand to each other.
enum Numbers {
    static func schema(_ name: String) -> Schema {
        Schema(name: name, key: ["value"], doc: "", fields: [Field("value", .int64, "")])
    }

    static func table(_ schema: Schema, _ values: Buffer, _ count: Int) -> Table {
        let column = Column(type: .int64, count: count, nullCount: 0, values: values, offsets: nil, validity: nil)
        return Table(schema: schema, columns: [column], rowCount: count)
    }

    /// The values 0, 1, 2, ...
    static func ascending(_ schema: Schema, _ count: Int) -> Table {
        let values = Buffer(count: count * 8) { target in
            for row in 0..<count { target.storeBytes(of: Int64(row + 1), toByteOffset: row * 8, as: Int64.self) }
        }
        return table(schema, values, count)
    }

    /// Every value times three and one.
    static func mapped(_ column: Column, to schema: Schema) -> Table {
        let count = column.count
        let values = Buffer(count: count * 8) { target in
            let (from, into) = (column.values.bytes.assumingMemoryBound(to: Int64.self), target.assumingMemoryBound(to: Int64.self))
            for row in 0..<count { into[row] = from[row] &* 3 &+ 1 }
        }
        return table(schema, values, count)
    }

    /// The values that are not a multiple of eight.
    static func filtered(_ column: Column, to schema: Schema) -> Table {
        let from = column.values.bytes.assumingMemoryBound(to: Int64.self)
        var kept = 0
        for row in 0..<column.count where from[row] & 7 != 0 { kept += 1 }
        let values = Buffer(count: kept * 8) { target in
            let into = target.assumingMemoryBound(to: Int64.self)
            var place = 0
            for row in 0..<column.count where from[row] & 7 != 0 {
                into[place] = from[row]
                place += 1
            }
        }
        return table(schema, values, kept)
    }
}

/// A pipe over one column.
struct NumbersPipe: Pipe {
    enum Step { case pass, map, filter }

    let step: Step
    let source: String
    let schemas: [Schema]

    func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
        guard let table = batch.table(source) else { return [] }
        switch step {
        case .pass: return [table]
        case .map: return [Numbers.mapped(table.columns[0], to: schemas[0])]
        case .filter:
            let kept = Numbers.filtered(table.columns[0], to: schemas[0])
            report.filter("multiple of eight", rows: table.rowCount - kept.rowCount)
            return [kept]
        }
    }
}

/// The mapping of the pipe, over the first stream's block of every height, in rows that name their bundle.
struct NumbersAggregator: Aggregator {
    static let schema = Schema(
        name: "mapped", key: ["bundle_number"], doc: "",
        fields: [Field("value", .int64, ""), Field("chain_id", .int64, ""), Field("bundle_number", .int64, "")])

    let schemas = [Self.schema]
    // Every bundle holds a block of each stream, whichever comes first.
    let policy = SynchronizationPolicy.alignedByHeight()

    func aggregate(_ bundle: Bundle, report: inout PipeReport) throws -> [Table] {
        guard let source = bundle.inputs[0].first?.tables.first else { return [] }
        let rows = source.rowCount
        let values = Numbers.mapped(source.columns[0], to: source.schema).columns[0]
        func all(_ value: Int64) -> Column {
            let buffer = Buffer(count: rows * 8) { target in
                for row in 0..<rows { target.storeBytes(of: value, toByteOffset: row * 8, as: Int64.self) }
            }
            return Column(type: .int64, count: rows, nullCount: 0, values: buffer, offsets: nil, validity: nil)
        }
        return [Table(schema: Self.schema, columns: [values, all(1), all(Int64(clamping: bundle.number))], rowCount: rows)]
    }
}

/// Takes everything and keeps nothing but how much it was.
final class DiscardingSink: Sink {
    let rows = Atomic(0)
    let delivery = Delivery.atLeastOnce
    let holdsBackToFinality = false

    func open(_ stream: StreamID, tables: [Schema]) async throws -> any SinkStream { Stream(sink: self) }
    func close() async {}

    private struct Stream: SinkStream {
        let sink: DiscardingSink
        func coverage() async throws -> [Segment] { [] }
        func write(_ batch: Batch) async throws -> Position? {
            sink.rows.add(batch.rowCount, ordering: .relaxed)
            return nil
        }
        func flush() async throws -> Position? { nil }
        func rollback(to position: Position) async throws {}
        func finish() async throws -> Position? { nil }
    }
}

/// A journal that nothing is written into.
struct NoJournal: StreamJournal {
    func findings(of stream: StreamID, register: String, through number: UInt64) async throws -> [Finding] { [] }
    func replaceFindings(_ findings: [Finding], in blocks: ClosedRange<UInt64>, of stream: StreamID, register: String) async throws {}
    func keep(_ letters: [DeadLetter], of stream: StreamID) async throws {}
    func forgetLetters(of stream: StreamID, behind position: Position) async throws {}
    func finalized(of stream: StreamID, sink: String) async throws -> UInt64? { nil }
    func setFinalized(_ number: UInt64, of stream: StreamID, sink: String) async throws {}
}
