import SluiceCore
import SluiceStore
import SluiceTelemetry
import Synchronization

@testable import SluiceFlow

/// A shelf in memory, that may refuse.
final class MemoryShelf: PipelineShelf {
    let records = Mutex<[String: PipelineRecord]>([:])
    let refuses = Mutex(false)

    private func check() throws {
        if refuses.withLock({ $0 }) { throw SluiceError(.init("shelf"), .pause, "the shelf refuses") }
    }
    func save(_ record: PipelineRecord) async throws {
        try check()
        records.withLock { $0[record.puuid] = record }
    }
    func setState(_ state: PipelineRecord.State, error: String?, of puuid: String) async throws {
        records.withLock {
            $0[puuid]?.state = state
            $0[puuid]?.error = error
        }
    }
    func replace(old puuid: String, with record: PipelineRecord) async throws {
        try check()
        records.withLock {
            $0[puuid] = nil
            $0[record.puuid] = record
        }
    }
    func remove(_ puuid: String) async throws { _ = records.withLock { $0.removeValue(forKey: puuid) } }
    func all() async throws -> [PipelineRecord] { records.withLock { $0.values.sorted { $0.name < $1.name } } }
}

/// A sink that cannot be opened.
struct ClosedSink: Sink {
    let delivery = Delivery.exactlyOnce
    let holdsBackToFinality = false
    func open(_ stream: StreamID, tables: [Schema]) async throws -> any SinkStream {
        throw SluiceError(.init("closed"), .pause, "the sink cannot be opened")
    }
    func close() async {}
}

/// One chain in memory, and all that a manager needs to have pipelines over it.
struct ManagedChain: Sendable {
    static let blocks = Register(
        name: "geth_block", number: .gethBlock, doc: "", schemas: [rowsSchema], needs: [Need("rows")], maker: .oracle { PassPipe() })
    /// The same table under another name: what asks for it is no collision.
    static let others = Register(
        name: "blocks", number: .blocks, doc: "", schemas: [rowsSchema], needs: [Need("rows")], maker: .oracle { PassPipe() })

    var registers = [Self.blocks, Self.others]
    let oracle = FakeOracle(head: 100, finalized: 90)
    let sinks = ["a": FakeSink(), "b": FakeSink()]
    /// Sinks of other kinds.
    var more: [String: any Sink] = ["closed": ClosedSink()]
    let shelf = MemoryShelf()
    let state = MemoryState()

    func manager(limit: Int = 10, startup: [String: Startup] = [:], until: UInt64? = nil) throws -> EtlManager {
        try manager(limit: limit, over: hub(oracle, registers: registers), startup: startup, until: until)
    }

    func manager(limit: Int = 10, over hub: Hub, startup: [String: Startup] = [:], until: UInt64? = nil) throws -> EtlManager {
        var all = more
        for (name, sink) in sinks { all[name] = sink }
        return EtlManager(
            EtlManager.Surroundings(
                registry: try Registry(registers), networks: ["chain": EtlManager.Network(kind: .layer1, chainID: 1, hub: hub)],
                sinks: all, startup: startup, shelf: shelf, state: state, until: until, limit: limit, log: .disabled),
            random: SeededRandom(seed: 7))
    }

    func request(
        _ name: String, start: UInt64? = 0, sinks: [String] = ["a"], registers: [String] = ["geth_block"],
        state: [String: [String: [String]]] = [:]
    ) -> PipelineRequest {
        PipelineRequest(name: name, network: "chain", registers: registers, start: start, sinks: sinks, state: state)
    }
}

/// Lets a manager work for as long as the body does, and until all pipelines have ended in good order.
func working(_ manager: EtlManager, _ body: () async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await manager.run() }
        try await body()
        await manager.shutDown()
        try await group.waitForAll()
    }
}

extension EtlManager {
    func state(of puuid: PUUID) -> PipelineState? { pipeline(puuid)?.state }
}
