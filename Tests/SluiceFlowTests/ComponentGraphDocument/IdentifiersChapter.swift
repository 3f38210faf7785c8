import SluiceCore
import SluiceStore
import Synchronization
import Testing

@testable import SluiceFlow

extension ComponentGraphDocument {
    /// How components and pipelines are called, and what for.
    @Suite("Identifiers") struct Identifiers {
        private static func component(
            _ network: NetworkKind, _ type: PipelineType, _ kind: ComponentKind, _ register: RegisterType
        ) -> ComponentPID {
            ComponentPID(network: network, pipelineType: type, kind: kind, register: register)
        }

        private func registry() throws -> Registry { try Registry(DocumentNode.registers) }

        /// Two pipelines of one network and one of another of its kind, over the same registers.
        private func plan() throws -> GraphPlan {
            try GraphPlan(
                registry: registry(),
                networks: ["one", "two"].map { .init(name: $0, chainID: $0 == "one" ? 1 : 5, kind: .layer1, endpoints: []) },
                pipelines: [
                    .init(name: "a", networks: ["one"], registers: ["logs"], sinks: ["store"]),
                    .init(name: "b", networks: ["one"], registers: ["logs", "erc20_transfers"], sinks: ["store"]),
                    .init(name: "c", networks: ["two"], registers: ["logs"], sinks: ["store"]),
                ], sinks: [.init(name: "store", type: "duckdb", delivery: .exactlyOnce, holdsBack: false)])
        }

        // MARK: - Components

        @Test("a component's identity says what it is, and which one of its kind it is")
        func cuuid() throws {
            var random = SeededRandom(seed: 1)
            let id = CUUID(try registry().componentPID(of: "event_log", network: .layer1, type: .live), using: &random)
            #expect((id.pid.network, id.pid.pipelineType) == (.layer1, .live))
            #expect((id.pid.kind, id.pid.register) == (.pipe, .eventLog))
            #expect(id.bytes == [1, 2, 2, 3] + id.uuid.bytes)
            #expect(CUUID(bytes: id.bytes) == id && CUUID(fullText: id.fullText) == id)
            #expect(id.fullText == "layer1:live:pipe:event_log::\(id.uuid)")
        }

        @Test("every component at work has such an identity of its own, oracles and aggregators, too; what is shared has one for all")
        func atWork() async throws {
            try await TwoLayers.run(blocks: (20, 20)) { layers in
                let sinks = ["1": TableSink(), "2": TableSink(), "3": TableSink()]
                let manager = try layers.manager(sinks)
                try await working(manager) {
                    let ids = try await manager.create([
                        PipelineRequest(name: "logs", network: "one", registers: ["logs"], start: UInt64(layers.first), sinks: ["1"]),
                        PipelineRequest(
                            name: "more", network: "one", registers: ["logs", "withdrawals"], start: UInt64(layers.first), sinks: ["2"]),
                        layers.request("pairs", .alignedByHeight(), sinks: ["3"]),
                    ])
                    try await eventually("all are live") {
                        let views = await manager.list
                        return views.allSatisfy {
                            $0.state == .live && !$0.components.isEmpty && $0.components.values.allSatisfy { $0 == .live }
                        }
                    }
                    let components = await ids.asyncMap { await manager.pipeline($0)?.components.keys.map { $0 } ?? [] }
                    func bytes(_ index: Int) -> Set<[UInt8]> { Set(components[index].map(\.pid.bytes)) }
                    #expect(bytes(0) == [[1, 2, 1, 2], [1, 2, 2, 6]])
                    #expect(bytes(1) == [[1, 2, 1, 2], [1, 2, 2, 6], [1, 2, 2, 10]])
                    #expect(bytes(2) == [[1, 2, 1, 2], [1, 2, 2, 4], [1, 2, 3, 11], [2, 2, 1, 2], [2, 2, 2, 4]])
                    // Those of the first pipeline are the second one's, too, and the oracle serves the third as well.
                    #expect(Set(components[0]).isSubset(of: components[1]) && Set(components[1]).intersection(components[2]).count == 1)
                    #expect(Set(components.joined()).count == 7)
                }
            }
        }

        @Test("the graph is drawn with these identities: each component has its PID, and each edge leads from one to another")
        func drawing() throws {
            let plan = try plan()
            let components = plan.nodes.filter { [.oracle, .pipe, .aggregator].contains($0.kind) }
            #expect(components.count == 5)
            for node in components {
                let pid = try #require(node.pid.flatMap { ComponentPID($0) })
                #expect("\(pid.kind)" == node.kind.rawValue && "\(pid.register)" == node.name)
            }
            let ids = Set(plan.nodes.map(\.id))
            #expect(plan.edges.allSatisfy { ids.contains($0.from) && ids.contains($0.to) && $0.from != $0.to })
            let (oracle, logs) = (components.first { $0.name == "geth_block" }, components.first { $0.name == "logs" })
            #expect(plan.edges.contains { $0.from == oracle?.id && $0.to == logs?.id && $0.tables == ["logs"] })
        }

        @Test("where a component would be there twice shows by its PID: on one network there is one of it, and it serves both")
        func duplicates() throws {
            let logs = try plan().nodes.filter { $0.name == "logs" }
            #expect(logs.map(\.pid) == ["layer1:live:pipe:logs", "layer1:live:pipe:logs"])
            // An equal PID is a hint only: the other one reads another chain.
            #expect(logs.map(\.users).sorted() == [1, 2])
        }

        @Test(
            "two instances of one component differ in their UUID, which is random, and agree in their PID, which follows from what they do")
        func instances() throws {
            var random = SeededRandom(seed: 2)
            let (registry, other) = (try registry(), try Registry(DocumentNode.registers.reversed()))
            let ids = try (0..<1000).map { index in
                let pid = try (index.isMultiple(of: 2) ? registry : other).componentPID(of: "logs", network: .layer2, type: .backtest)
                return CUUID(pid, using: &random)
            }
            #expect(Set(ids.map(\.pid)).count == 1 && Set(ids.map(\.uuid)).count == 1000 && Set(ids).count == 1000)
            #expect(ids.allSatisfy { $0.uuid.bytes[6] >> 4 == 4 })
        }

        @Test(
            "the four bytes of a component's PID are network, pipeline type, component kind and register",
            arguments: [
                (component(.layer1, .live, .oracle, .gethBlock), [1, 2, 1, 2]),
                (component(.layer1, .live, .pipe, .eventLog), [1, 2, 2, 3]),
                (component(.layer1, .live, .oracle, .accountBalance), [1, 2, 1, 1]),
                (component(.layer2, .backtest, .pipe, .eventLog), [2, 1, 2, 3]),
                (component(.layer2, .backtest, .oracle, .gethBlock), [2, 1, 1, 2]),
            ] as [(ComponentPID, [UInt8])])
        func componentBytes(pid: ComponentPID, bytes: [UInt8]) throws {
            #expect(pid.bytes == bytes && ComponentPID(bytes: bytes) == pid)
            let own = try registry().componentPID(of: "\(pid.register)", network: pid.network, type: pid.pipelineType)
            #expect(own == pid)
        }

        // MARK: - Pipelines

        @Test("every pipeline has a PUUID, and by it the manager finds it")
        func puuid() async throws {
            let chain = ManagedChain()
            let manager = try chain.manager()
            try await working(manager) {
                let ids = try await manager.create([chain.request("p"), chain.request("q", sinks: ["b"], registers: ["blocks"])])
                #expect(Set(ids).count == 2)
                for (id, name) in zip(ids, ["p", "q"]) { #expect(await manager.pipeline(id)?.request.name == name) }
                #expect(await Set(manager.list.map(\.puuid)) == Set(ids))
                #expect(Set(chain.shelf.records.withLock { Array($0.keys) }) == Set(ids.map(\.fullText)))
            }
        }

        @Test("what a pipeline makes finds its way by the pipeline's identity: to its own sinks, and into its own account")
        func routing() async throws {
            let chain = ManagedChain()
            let manager = try chain.manager()
            try await working(manager) {
                let ids = try await manager.create([
                    chain.request("p", start: 90, sinks: ["a"], registers: ["geth_block"]),
                    chain.request("q", start: 40, sinks: ["b"], registers: ["blocks"]),
                ])
                try await eventually("both have theirs") { chain.sinks["a"]?.rows.count == 11 && chain.sinks["b"]?.rows.count == 61 }
                #expect(chain.sinks["a"]?.rows == chain.oracle.rows(90...100) && chain.sinks["b"]?.rows == chain.oracle.rows(40...100))
                #expect(await manager.pipeline(ids[0])?.progress.rows["rows"] == 11)
                #expect(await manager.pipeline(ids[1])?.progress.rows["rows"] == 61)
            }
        }

        @Test("pipelines whose PIDs collide are recognised: they are perhaps the same")
        func collisions() async throws {
            var chain = ManagedChain()
            chain.more["c"] = TableSink()
            let manager = try chain.manager()
            try await working(manager) {
                let ids = try await manager.create([
                    chain.request("p"), chain.request("q", sinks: ["b"]), chain.request("r", sinks: ["c"], registers: ["blocks"]),
                ])
                #expect(ids[0].pid == ids[1].pid && ids[0].pid != ids[2].pid)
                // Whichever of the two is live later is merged into the other.
                try await eventually("the two that collide are one") {
                    let merged = await [manager.pipeline(ids[0])?.mergedInto, manager.pipeline(ids[1])?.mergedInto]
                    return merged == [ids[1], nil] || merged == [nil, ids[0]]
                }
                #expect(await manager.pipeline(ids[2])?.mergedInto == nil)
            }
        }

        @Test("a PUUID is a PID, which follows from what the pipeline does, and a UUID that no other pipeline has")
        func puuidParts() throws {
            var random = SeededRandom(seed: 3)
            let pid = try registry().pipelinePID(of: "event_log", network: .layer1, type: .live)
            let (first, second) = (PUUID(pid, using: &random), PUUID(pid, using: &random))
            #expect(first.pid == second.pid && first != second && first.bytes == pid.bytes + first.uuid.bytes)
            #expect(first.fullText == "\(pid):::\(first.uuid)" && PUUID(fullText: first.fullText) == first)
        }

        @Test(
            "the nine bytes of a pipeline's PID are its type, the component that delivers, and the oracle at the root",
            arguments: [
                ("geth_block", .layer1, .live, [2, 1, 2, 1, 2, 1, 2, 1, 2]), ("event_log", .layer1, .live, [2, 1, 2, 2, 3, 1, 2, 1, 2]),
                ("account_balance", .layer1, .live, [2, 1, 2, 1, 1, 1, 2, 1, 1]),
                ("event_log", .layer2, .backtest, [1, 2, 1, 2, 3, 2, 1, 1, 2]),
            ] as [(String, NetworkKind, PipelineType, [UInt8])])
        func pipelineBytes(register: String, network: NetworkKind, type: PipelineType, bytes: [UInt8]) throws {
            let pid = try registry().pipelinePID(of: register, network: network, type: type)
            #expect(pid.bytes == bytes && PipelinePID(bytes: bytes) == pid)
            let path = try registry().path(of: register)
            #expect(pid.first.register == path.first?.number && pid.last.register == path.last?.number && pid.last.kind == .oracle)
        }
    }
}
