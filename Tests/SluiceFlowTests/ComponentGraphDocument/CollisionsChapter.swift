import SluiceCore
import SluiceTelemetry
import Synchronization
import Testing

@testable import SluiceFlow

extension ComponentGraphDocument {
    /// Pipelines that turn out to be the same.
    @Suite("Collisions") struct Collisions {
        private let chain: ManagedChain
        private let first = TableSink()
        private let second = TableSink()
        private let third = TableSink()

        /// Works for the addresses that its pipeline was told.
        private static let watched = numbers(
            "watched", 201, of: "geth_block", addressed: StateKeyShape(prefix: "watched", id: "address"), reading: "rows"
        ) { $0 }

        /// Knows what it saw.
        private static let learned = Register(
            name: "learned", number: RegisterType(rawValue: 202), doc: "", schemas: [rowsSchema], dependencies: ["geth_block"],
            needs: [Need("rows")], isAddressed: true, stateKey: StateKeyShape(prefix: "learned", id: "address"), keepsFindings: true,
            maker: .pipe { _ in PassPipe() })

        init() {
            var chain = ManagedChain()
            chain.registers += [Self.watched, Self.learned]
            (chain.more["1"], chain.more["2"], chain.more["3"]) = (first, second, third)
            self.chain = chain
        }

        private func request(
            _ name: String, _ start: UInt64?, into sink: String, register: String = "geth_block", watching members: [String] = []
        ) -> PipelineRequest {
            let state = members.isEmpty ? [:] : [register: Dictionary(uniqueKeysWithValues: members.map { ($0, [String]()) })]
            return chain.request(name, start: start, sinks: [sink], registers: [register], state: state)
        }

        private func merged(_ manager: EtlManager, _ puuid: PUUID) async -> PUUID? { await manager.pipeline(puuid)?.mergedInto }

        /// Whether each of them works by itself.
        private func areApart(_ manager: EtlManager, _ puuids: PUUID...) async -> Bool {
            for puuid in puuids where await merged(manager, puuid) != nil { return false }
            return true
        }

        /// A pipeline that is live.
        private func live(_ manager: EtlManager, _ request: PipelineRequest) async throws -> PUUID {
            let id = try await manager.create(request)
            try await eventually("\(request.name) is live") { await manager.state(of: id) == .live }
            return id
        }

        // MARK: - When

        @Test("two pipelines of the same PID collide, and they are found while they run: the second becomes one with the first")
        func collide() async throws {
            let manager = try chain.manager()
            try await working(manager) {
                let p0 = try await live(manager, request("p0", nil, into: "1"))
                let p1 = try await manager.create(request("p1", nil, into: "2"))
                #expect(p0.pid == p1.pid && p0.uuid != p1.uuid)
                try await eventually("they are one") { await merged(manager, p1) == p0 }
            }
        }

        @Test("an equal PID is not enough: all that lies between the two ends must be equal, too")
        func components() throws {
            let registries = try ["left", "right"].map { middle in
                try Registry(
                    chain.registers + [
                        numbers(middle, middle == "left" ? 203 : 204, of: "geth_block", reading: "rows") { $0 },
                        numbers("end", 205, of: middle) { $0 },
                    ])
            }
            let pids = try registries.map { try $0.pipelinePID(of: "end", network: .layer1, type: .live) }
            let fingerprints = try registries.map { try $0.fingerprint(of: "end", configuration: ["chain": "1"]) }
            #expect(pids[0] == pids[1] && fingerprints[0] != fingerprints[1])
        }

        @Test(
            "nor is it where the two were told something else, or where their components remember what they saw",
            arguments: ["told", "learned"])
        func properties(difference: String) async throws {
            let manager = try chain.manager()
            var (one, two) = (request("p0", nil, into: "1"), request("p1", nil, into: "2"))
            if difference == "told" {
                two.options = ["geth_block": "something else"]
            } else {
                (one.registers, two.registers) = (["learned"], ["learned"])
            }
            try await working(manager) {
                let (p0, p1) = (try await live(manager, one), try await live(manager, two))
                chain.oracle.grow(3)
                try await eventually("both follow") { [first, second].allSatisfy { $0.blocks.last?.number == 103 } }
                #expect(p0.pid == p1.pid)
                #expect(await areApart(manager, p0, p1))
            }
        }

        @Test("pipelines of unequal PIDs do not collide, whatever else they have in common")
        func otherPID() async throws {
            let manager = try chain.manager()
            try await working(manager) {
                let p0 = try await live(manager, request("p0", nil, into: "1"))
                let p1 = try await live(manager, request("p1", nil, into: "2", register: "blocks"))
                chain.oracle.grow(3)
                try await eventually("both follow") { [first, second].allSatisfy { $0.blocks.last?.number == 103 } }
                #expect(p0.pid != p1.pid)
                #expect(await areApart(manager, p0, p1))
            }
        }

        @Test("as long as one of the two reads history, it is not merged; it is when it has become live", arguments: ["first", "second"])
        func backfilling(late: String) async throws {
            let manager = try chain.manager()
            let held = late == "first" ? first : second
            held.hold(true)
            try await working(manager) {
                let p0 = try await manager.create(request("p0", late == "first" ? 0 : nil, into: "1"))
                let p1 = try await manager.create(request("p1", late == "first" ? nil : 0, into: "2"))
                let (reading, live) = late == "first" ? (p0, p1) : (p1, p0)
                try await eventually("the other one is live") { await manager.state(of: live) == .live }
                try await Task.sleep(for: .milliseconds(20))
                #expect(await manager.state(of: reading) == .backfill)
                #expect(await areApart(manager, p0, p1))
                held.hold(false)
                try await eventually("they are one") { await merged(manager, reading) == live }
            }
            #expect(held.blocks == chain.oracle.canonical.map(\.ref))
        }

        @Test("a backtest is never merged: its PID is another one, it runs by itself, and it refuses")
        func backtests() async throws {
            let registry = try Registry(chain.registers)
            let pids = try [PipelineType.live, .backtest].map { try registry.pipelinePID(of: "geth_block", network: .layer1, type: $0) }
            #expect(pids[0] != pids[1] && pids[1].bytes == [1, 1, 1, 1, 2, 1, 1, 1, 2])
            var random = SeededRandom(seed: 1)
            var lifecycle = PipelineLifecycle(type: .backtest)
            try lifecycle.on(.start(hasHistory: true))
            let error = #expect(throws: SluiceError.self) { try lifecycle.on(.merged(into: PUUID(pids[0], using: &random))) }
            #expect(error?.message.contains("only live pipelines are merged") == true)
            let manager = try chain.manager()
            try await working(manager) {
                let p0 = try await live(manager, request("p0", nil, into: "1"))
                let backtest = Backtest(
                    PipelineDefinition(name: "b", chainID: 1, registers: [ManagedChain.blocks], start: 0), range: 0...50, into: third,
                    registry: registry, time: .live, log: .disabled
                ) { _, _ in chain.oracle }
                #expect(await backtest.run(until: StopSignal()).blocks == 51)
                #expect(await manager.list.map(\.puuid) == [p0])
                #expect(await areApart(manager, p0))
            }
        }

        // MARK: - What is done

        @Test("the loop of the second is ended: from then on the first one's components do the work of both")
        func stopped() async throws {
            let shared = hub(chain.oracle, registers: chain.registers)
            let manager = try chain.manager(over: shared)
            try await working(manager) {
                let p0 = try await live(manager, request("p0", nil, into: "1"))
                try await eventually("it is in the graph") { shared.components.map(\.users) == [1] }
                let p1 = try await manager.create(request("p1", nil, into: "2"))
                try await eventually("they are one") { await merged(manager, p1) == p0 }
                try await eventually("and one of them is in the graph") { shared.components.map(\.users) == [1] }
                chain.oracle.grow(5)
                try await eventually("both sinks go on") { first.blocks.last?.number == 105 && second.blocks.last?.number == 105 }
                // Nothing can be done with the second one by itself.
                let view = await manager.pipeline(p1)
                #expect(view?.commands == [] && view?.state == .live)
                let error = await #expect(throws: SluiceError.self) { try await manager.pause(p1) }
                #expect(error?.code == .illegalTransition)
            }
            #expect(first.blocks == Array(chain.oracle.canonical[100...105]).map(\.ref))
            #expect(second.blocks.last == first.blocks.last && Set(second.blocks).count == second.blocks.count)
        }

        @Test("the PID of the second is off the list: a third one of that PID collides with the first alone")
        func delisted() async throws {
            let manager = try chain.manager()
            try await working(manager) {
                let p0 = try await live(manager, request("p0", nil, into: "1"))
                let p1 = try await manager.create(request("p1", nil, into: "2"))
                try await eventually("two are one") { await merged(manager, p1) == p0 }
                let p2 = try await manager.create(request("p2", nil, into: "3"))
                try await eventually("three are one") { await merged(manager, p2) == p0 }
                chain.oracle.grow(2)
                try await eventually("all sinks go on") { [first, second, third].allSatisfy { $0.blocks.last?.number == 102 } }
                // What is removed is gone; the others stay one.
                try await manager.remove(p1)
                #expect(await manager.list.map(\.puuid).contains(p1) == false)
                #expect(await merged(manager, p2) == p0)
            }
        }

        @Test("what the second shared is joined to what the first shares, and the second has nothing left")
        func state() async throws {
            let manager = try chain.manager()
            func members(_ name: String) async throws -> [String] {
                try await chain.state.members(of: StateKey(pipeline: name, prefix: "watched", id: "address"))
            }
            try await working(manager) {
                let p0 = try await live(manager, request("p0", nil, into: "1", register: "watched", watching: ["0xa", "0xb"]))
                #expect(try await members("p0") == ["0xa", "0xb"])
                let p1 = try await manager.create(request("p1", nil, into: "2", register: "watched", watching: ["0xb", "0xc"]))
                try await eventually("they are one") { await merged(manager, p1) == p0 }
                try await eventually("and have one set") { try await members("p0") == ["0xa", "0xb", "0xc"] }
                #expect(try await chain.state.keys(of: "p1") == [])
            }
        }
    }
}
