import SluiceCore
import SluiceStore
import Synchronization
import Testing

@testable import SluiceFlow

extension ComponentGraphDocument {
    /// Who administers all of it.
    @Suite("The manager") struct Manager {
        private let chain = ManagedChain()
        private var a: FakeSink? { chain.sinks["a"] }
        private var b: FakeSink? { chain.sinks["b"] }

        @Test("the manager holds graph and pipelines together: with a pipeline its components come, and they go with it")
        func connects() async throws {
            let shared = hub(chain.oracle, registers: chain.registers)
            let manager = try chain.manager(over: shared)
            try await working(manager) {
                #expect(shared.components.isEmpty)
                let ids = try await manager.create([chain.request("p"), chain.request("q", sinks: ["b"], registers: ["blocks"])])
                try await eventually("both are in the graph") { shared.components.map(\.register).sorted() == ["blocks", "geth_block"] }
                try await manager.pause(ids[0])
                #expect(shared.components.map(\.register) == ["blocks"])
                try await manager.resume(ids[0])
                try await eventually("it is back") { shared.components.count == 2 }
                for id in ids { try await manager.remove(id) }
                #expect(shared.components.isEmpty)
            }
        }

        @Test("it creates a pipeline: it gives it an identity, keeps it, and lets it read what it asks for")
        func creates() async throws {
            let manager = try chain.manager()
            try await working(manager) {
                let id = try await manager.create(chain.request("p", start: 10))
                #expect(id.pid.bytes == [2, 1, 2, 1, 2, 1, 2, 1, 2])
                #expect(chain.shelf.records.withLock { $0[id.fullText]?.name } == "p")
                try await eventually("it reads") { a?.rows == chain.oracle.rows(10...100) }
                // Of one name there is one.
                let error = await #expect(throws: SluiceError.self) { try await manager.create(chain.request("p", sinks: ["b"])) }
                #expect(error?.code == .invalidPipeline)
                #expect(await manager.list.map(\.puuid) == [id])
            }
        }

        @Test("it removes a pipeline: nothing more is read for it, nobody knows it any more, what it shared is gone, and its tables stay")
        func removes() async throws {
            let manager = try chain.manager()
            try await working(manager) {
                let id = try await manager.create(chain.request("p"))
                try await eventually("it is live") { await manager.state(of: id) == .live && a?.rows.count == 101 }
                try await chain.state.insert(["0xa"], into: StateKey(pipeline: "p", prefix: "x", id: "address"))
                try await manager.remove(id)
                chain.oracle.grow(10)
                try await Task.sleep(for: .milliseconds(20))
                #expect(a?.rows == chain.oracle.rows(0...100))
                #expect(await manager.list.isEmpty)
                #expect(chain.shelf.records.withLock { $0.isEmpty })
                #expect(try await chain.state.keys(of: "p") == [])
                let error = await #expect(throws: SluiceError.self) { try await manager.resume(id) }
                #expect(error?.code == .unknownPipeline)
            }
        }

        @Test("it merges pipelines that do the same, and separates them when the one is removed that did the work")
        func merges() async throws {
            let manager = try chain.manager()
            try await working(manager) {
                let first = try await manager.create(chain.request("p0"))
                try await eventually("the first is live") { await manager.state(of: first) == .live }
                let second = try await manager.create(chain.request("p1", sinks: ["b"]))
                try await eventually("they are one") { await manager.pipeline(second)?.mergedInto == first }
                chain.oracle.grow(4)
                try await eventually("for both") { a?.rows.count == 105 && b?.rows.count == 105 }
                try await manager.remove(first)
                chain.oracle.grow(4)
                try await eventually("for the second alone") { b?.rows.count == 109 }
                #expect(await manager.pipeline(second)?.mergedInto == nil && a?.rows.count == 105)
            }
            #expect(b?.rows == chain.oracle.rows(0...108))
        }

        @Test("it updates a pipeline: another one takes its place under the same name, and nothing changes when that cannot be")
        func updates() async throws {
            let manager = try chain.manager()
            try await working(manager) {
                let old = try await manager.create(chain.request("p"))
                try await eventually("it is live") { await manager.state(of: old) == .live && a?.rows.count == 101 }
                await #expect(throws: SluiceError.self) { try await manager.update(old, to: chain.request("p", sinks: ["closed"])) }
                #expect(await manager.list.map(\.puuid) == [old])
                let new = try await manager.update(old, to: chain.request("p", start: 50, sinks: ["b"], registers: ["blocks"]))
                #expect(new != old && new.pid != old.pid)
                try await eventually("the new one reads") { b?.rows == chain.oracle.rows(50...100) }
                chain.oracle.grow(3)
                try await eventually("and follows") { b?.rows.count == 54 }
                #expect(a?.rows.count == 101)
                #expect(await manager.list.map(\.puuid) == [new])
            }
        }
    }
}
