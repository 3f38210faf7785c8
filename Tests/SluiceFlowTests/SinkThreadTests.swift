import Glibc
import SluiceCore
import SluiceTelemetry
import Synchronization
import Testing

@testable import SluiceFlow

@Suite struct SinkThreadTests {
    /// A sink with a thread of its own, which notes where it is called from and how much waits for it.
    fileprivate final class ThreadedSink: Sink {
        let delivery = Delivery.exactlyOnce
        let holdsBackToFinality = false
        let worker = WorkerThread(name: "threaded-sink")
        let inner = FakeSink()
        let callers = Mutex<Set<UInt>>([])

        func open(_ stream: StreamID, tables: [Schema]) async throws -> any SinkStream {
            Stream(sink: self, inner: try await inner.open(stream, tables: tables))
        }

        func close() async {}
    }

    private struct Stream: SinkStream {
        let sink: ThreadedSink
        let inner: any SinkStream

        var executor: (any TaskExecutor)? { sink.worker }
        var appetite: Int? { 100_000 }
        func coverage() async throws -> [Segment] { try await inner.coverage() }
        func write(_ batch: Batch) async throws -> Position? {
            sink.note()
            return try await inner.write(batch)
        }
        func flush() async throws -> Position? { try await inner.flush() }
        func rollback(to position: Position) async throws { try await inner.rollback(to: position) }
        func finish() async throws -> Position? { try await inner.finish() }
    }

    @Test("what feeds a sink runs on the sink's own thread, and nothing is lost on the way")
    func thread() async throws {
        let oracle = FakeOracle(head: 60, finalized: 50)
        let sink = ThreadedSink()
        let run = Run(
            hub: hub(oracle), definition: definition("test", start: 1), sinks: [SinkAttachment("threaded", sink)],
            progress: PipelineProgress(), stop: StopSignal())
        #expect(try await run.backfill(1...40))
        let own = sink.worker.wait { UInt(pthread_self()) }
        #expect(sink.callers.withLock { $0 } == [own])
        #expect(sink.inner.rows == oracle.rows(1...40))
    }

    @Test("as much may wait on its edge as it takes at a time")
    func appetite() async throws {
        let sink = ThreadedSink()
        let id = StreamID(pipeline: "test", chainID: 1)
        let stream = try await sink.open(id, tables: [rowsSchema])
        let journal = FakeJournal()
        let surroundings = Hub.Surroundings(
            registry: try Registry([rowsRegister]), journal: journal, time: .live, log: .disabled, edgeCapacity: 4_096
        ) { _, _ in FakeOracle(head: 1, finalized: 1) }
        func opened(_ stream: any SinkStream) -> OpenedSink {
            OpenedSink(
                name: "s", id: id, stream: stream, segments: [], recent: [], holdsBack: false, policy: .block,
                refused: RefusedRows(journal: journal, stream: id, registers: [:], log: .disabled))
        }
        #expect(surroundings.edge(into: opened(stream)).capacity == 100_000)
        #expect(surroundings.edge(into: opened(try await FakeSink().open(id, tables: [rowsSchema]))).capacity == 4_096)
    }
}

extension SinkThreadTests.ThreadedSink {
    fileprivate func note() { callers.withLock { _ = $0.insert(UInt(pthread_self())) } }
}
