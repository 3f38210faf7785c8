import SluiceCore
import SluiceStore
import Synchronization
import Testing

@testable import SluiceFlow

@Suite("EtlManager", .timeLimit(.minutes(1))) struct ManagerTests {
    private let chain = ManagedChain()
    private var oracle: FakeOracle { chain.oracle }
    private var sinks: [String: FakeSink] { chain.sinks }
    private var shelf: MemoryShelf { chain.shelf }

    private func manager(limit: Int = 10) throws -> EtlManager { try chain.manager(limit: limit) }

    private func request(
        _ name: String, start: UInt64? = 0, sinks: [String] = ["a"], registers: [String] = ["geth_block"]
    ) -> PipelineRequest {
        chain.request(name, start: start, sinks: sinks, registers: registers)
    }

    @Test("a pipeline that is made reads its history, then it is live, under a PUUID made of its PID")
    func create() async throws {
        let manager = try manager()
        try await working(manager) {
            let puuid = try await manager.create(request("p", start: 3))
            #expect(puuid.pid == PipelinePID(bytes: [2, 1, 2, 1, 2, 1, 2, 1, 2]))
            #expect(await manager.state(of: puuid) == .backfill)
            try await eventually("it is live") { await manager.state(of: puuid) == .live }
            oracle.grow(5)
            try await eventually("it follows") { sinks["a"]?.rows.count == 103 }
            #expect(await manager.list.map(\.request.name) == ["p"])
            #expect(shelf.records.withLock { $0[puuid.fullText]?.state } == .live)
        }
        #expect(sinks["a"]?.rows == oracle.rows(3...105))
    }

    @Test("what cannot be is refused with the reason and the mend, and nothing is made")
    func refused() async throws {
        let manager = try manager(limit: 1)
        try await working(manager) {
            for (bad, words) in [
                (request("p", sinks: ["nowhere"]), "no sink nowhere"),
                (PipelineRequest(name: "p", network: "moon", registers: ["geth_block"], sinks: ["a"]), "no network moon"),
                (PipelineRequest(name: "p", network: "chain", registers: ["colums"], sinks: ["a"]), "no register colums"),
                (PipelineRequest(name: "p", network: "chain", registers: [], sinks: ["a"]), "asks for no register"),
            ] {
                let error = await #expect(throws: SluiceError.self) { try await manager.create(bad) }
                #expect(error?.class == .config && error?.message.contains(words) == true && error?.mend != nil, "\(words)")
            }
            #expect(await manager.list.isEmpty && shelf.records.withLock { $0.isEmpty })
            try await manager.create(request("p"))
            let error = await #expect(throws: SluiceError.self) { try await manager.create(request("q")) }
            #expect(error?.code == .tooManyPipelines)
        }
    }

    @Test("a paused pipeline reads nothing and can be resumed at any time; a stopped one must be restarted")
    func pauseAndStop() async throws {
        let manager = try manager()
        try await working(manager) {
            let puuid = try await manager.create(request("p"))
            try await eventually("it is live") { await manager.state(of: puuid) == .live && sinks["a"]?.rows.count == 101 }
            try await manager.pause(puuid)
            #expect(await manager.state(of: puuid) == .paused)
            oracle.grow(10)
            try await Task.sleep(for: .milliseconds(20))
            #expect(sinks["a"]?.rows.count == 101)
            try await manager.resume(puuid)
            try await eventually("it has caught up") { sinks["a"]?.rows.count == 111 }
            try await manager.stop(puuid)
            #expect(await manager.state(of: puuid) == .stopped)
            let error = await #expect(throws: SluiceError.self) { try await manager.resume(puuid) }
            #expect(error?.code == .illegalTransition && error?.mend?.contains("restart") == true)
            try await manager.restart(stopped: puuid)
            oracle.grow(4)
            try await eventually("it is back") { sinks["a"]?.rows.count == 115 }
        }
        #expect(sinks["a"]?.rows == oracle.rows(0...114) && sinks["a"]?.segments.count == 1)
    }

    @Test("a pipeline in error can be resumed at any time, from its last position, and takes no other with it")
    func errorAndResume() async throws {
        let manager = try manager()
        try await working(manager) {
            sinks["a"]?.state.withLock { state in
                (state.failAt, state.failure) = (40, SluiceError(.init("fake"), .data, "the sink is broken"))
            }
            let puuids = try await manager.create([request("bad"), request("good", start: 1, sinks: ["b"], registers: ["blocks"])])
            try await eventually("it failed") { await manager.state(of: puuids[0]) == .error }
            #expect(await manager.pipeline(puuids[0])?.failure?.message == "the sink is broken")
            try await eventually("the other is live") { await manager.state(of: puuids[1]) == .live && sinks["b"]?.rows.count == 100 }
            #expect(shelf.records.withLock { $0[puuids[0].fullText]?.error } == "the sink is broken")
            try await manager.resume(puuids[0])
            try await eventually("it is complete") { sinks["a"]?.rows.count == 101 }
        }
        #expect(sinks["a"]?.rows == oracle.rows(0...100))
    }

    @Test(
        "of two that collide the second ends, and what it shares and its sinks go to the first; when that is removed it is by itself again"
    )
    func collision() async throws {
        let manager = try manager()
        try await working(manager) {
            let first = try await manager.create(request("p0"))
            try await eventually("the first is live") { await manager.state(of: first) == .live }
            let second = try await manager.create(request("p1", sinks: ["b"]))
            #expect(second.pid == first.pid && second != first)
            try await eventually("they are one once the second has read its history") {
                await manager.pipeline(second)?.mergedInto == first
            }
            oracle.grow(6)
            try await eventually("both sinks go on") { sinks["a"]?.rows.count == 107 && sinks["b"]?.rows.count == 107 }
            let error = await #expect(throws: SluiceError.self) { try await manager.pause(second) }
            #expect(error?.code == .illegalTransition)
            try await manager.remove(first)
            #expect(await manager.list.map(\.request.name) == ["p1"])
            oracle.grow(3)
            try await eventually("the second goes on by itself") { sinks["b"]?.rows.count == 110 }
            #expect(await manager.pipeline(second)?.mergedInto == nil && sinks["a"]?.rows.count == 107)
        }
        #expect(sinks["b"]?.rows == oracle.rows(0...109) && sinks["b"]?.segments.count == 1)
    }

    @Test("pipelines of equal PID that differ in what they read are no collision")
    func noCollision() async throws {
        let manager = try manager()
        try await working(manager) {
            let first = try await manager.create(request("p0", start: nil))
            let second = try await manager.create(request("p1", start: nil, sinks: ["b"]))
            try await eventually("those that are equal are one") { await manager.pipeline(second)?.mergedInto == first }
            try await manager.pause(first)
            // A paused pipeline is not live, so that nothing can be merged into it.
            let third = try await manager.create(request("p2", start: nil, sinks: ["b"]))
            let other = try await manager.create(request("p3", start: nil, sinks: ["a"], registers: ["blocks"]))
            try await Task.sleep(for: .milliseconds(20))
            #expect(await manager.pipeline(third)?.mergedInto == nil)
            #expect(await manager.pipeline(other)?.mergedInto == nil)
        }
    }

    @Test("an update first builds the new one; when any step fails, the old one goes on")
    func update() async throws {
        let manager = try manager()
        try await working(manager) {
            let old = try await manager.create(request("p"))
            try await eventually("it is live") { await manager.state(of: old) == .live && sinks["a"]?.rows.count == 101 }
            await #expect(throws: SluiceError.self) { try await manager.update(old, to: request("p", sinks: ["nowhere"])) }
            shelf.refuses.withLock { $0 = true }
            await #expect(throws: SluiceError.self) { try await manager.update(old, to: request("p", sinks: ["b"])) }
            shelf.refuses.withLock { $0 = false }
            await #expect(throws: SluiceError.self) { try await manager.update(old, to: request("p", sinks: ["closed"])) }
            #expect(await manager.list.map(\.puuid) == [old])
            oracle.grow(5)
            try await eventually("the old one goes on") { sinks["a"]?.rows.count == 106 }
            let new = try await manager.update(old, to: request("p", start: 10, sinks: ["b"]))
            try await eventually("the new one is live") { await manager.state(of: new) == .live && sinks["b"]?.rows.count == 96 }
            #expect(await manager.list.map(\.puuid) == [new] && sinks["a"]?.rows.count == 106)
            #expect(shelf.records.withLock { Array($0.keys) } == [new.fullText])
        }
    }

    @Test("definitions and states come back after a crash: what worked goes on, what was paused stays paused")
    func restore() async throws {
        let (works, paused): (PUUID, PUUID)
        do {
            let manager = try manager()
            let puuids = try await manager.create([request("works"), request("waits", start: 5, sinks: ["b"], registers: ["blocks"])])
            try await working(manager) {
                for puuid in puuids { try await eventually("live") { await manager.state(of: puuid) == .live } }
                try await manager.pause(puuids[1])
            }
            (works, paused) = (puuids[0], puuids[1])
        }
        oracle.grow(10)
        let manager = try manager()
        try await working(manager) {
            for record in shelf.records.withLock({ $0.values }) {
                let request = try PipelineRequest(json: record.definition)
                #expect(request.name == record.name && request.json == record.definition)
            }
            try await manager.restore()
            try await eventually("it goes on") { sinks["a"]?.rows.count == 111 }
            #expect(await manager.state(of: paused) == .paused && sinks["b"]?.rows.count == 96)
            #expect(await manager.pipeline(works)?.request.name == "works")
            try await manager.resume(paused)
            try await eventually("it is resumed") { sinks["b"]?.rows.count == 106 }
        }
    }
}
