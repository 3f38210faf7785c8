import SluiceCore
import SluiceTelemetry
import Synchronization
import Testing

@testable import SluiceFlow

@Suite struct RefusedInAmendTests {
    /// Refuses in turn what it is told to, before it takes an amendment.
    private final class Stream: SinkStream {
        let refusals: Mutex<[[RefusedRow]]>
        let amended = Mutex<[Int]>([])

        init(_ refusals: [[RefusedRow]]) { self.refusals = Mutex(refusals) }

        func coverage() async throws -> [Segment] { [] }
        func write(_ batch: Batch) async throws -> Position? { nil }
        func flush() async throws -> Position? { nil }
        func rollback(to position: Position) async throws {}
        func finish() async throws -> Position? { nil }

        func amend(_ amendments: [Amendment]) async throws {
            if let next = refusals.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { throw RowsRefused(next) }
            amended.withLock { $0 = amendments.map(\.rows.rowCount) }
        }
    }

    @Test("rows that a store refuses of what it had taken before an amendment are letters; those of the amendment are told")
    func both() async throws {
        let chain = SimulatedChain(head: 60, finality: 10)
        let block = try #require(chain.canonical.first { $0.value % 3 == 2 })
        let table = try #require(simulatedBatch([block])?.table("values"))
        let amendment = Amendment(chainID: 1, block: block.ref, timestamp: 0, column: "log_index", places: [0, 1], rows: table)
        func row(_ name: String, _ block: BlockRef) -> RefusedRow {
            RefusedRow(table: "values", row: name, block: block, reason: "r", message: "m", payload: "{}")
        }
        let (taken, own) = (row("log 1", BlockRef(number: 59, hash: .zero)), row("log 0", block.ref))
        let stream = Stream([[taken], [own]])
        let journal = SimulatedJournal(isTraced: false)
        let id = StreamID(pipeline: "p", chainID: 1)
        let segment = Segment(first: block.ref.number, last: block.ref)
        let sink = OpenedSink(
            name: "s", id: id, stream: stream, segments: [segment], recent: [block.ref], holdsBack: false, policy: .block,
            refused: RefusedRows(journal: journal, stream: id, registers: [:], log: .disabled))
        let (blocks, refused) = try await sink.amend([amendment])
        #expect(blocks == [block.ref.number] && refused == [own])
        #expect(journal.open.map(\.row) == ["log 1 of values in s"] && journal.open.map(\.block) == [taken.block])
        #expect(stream.amended.withLock { $0 } == [1])
    }
}
