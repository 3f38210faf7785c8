import SluiceCore
import SluiceTelemetry
import SluiceTestKit
import Synchronization

@testable import SluiceFlow

/// A world made from a seed: a chain, pipelines over it, troubles of all kinds for a while, then peace. The runtime in it is the real one.
struct Simulation: Sendable {
    /// What came of it.
    struct Outcome: Sendable {
        var failures: [String] = []
        var steps = 0
        var reorganisations = 0
        var crashes = 0
        var pauses = 0
        /// Of what registers are told.
        var changes = 0
        var blocks: UInt64 = 0
        /// Dead letters, and how many replays came to a good end.
        var letters = 0
        var replays = 0
    }

    private struct Plan: Sendable {
        let name: String
        let registers: [Register]
        let state: SimulatedWishes.State
        let start: UInt64
        let sinks: [(store: SimulatedStore, perTransaction: Int, holdsBack: Bool)]
    }

    let seed: UInt64
    /// Says what happens, for looking at one seed.
    var isTraced = false

    func run() -> Outcome {
        let executor = SimulationExecutor(seed: seed)
        var outcome =
            executor.run { await world(executor.clock.timeSource) }
            ?? Outcome(failures: ["seed \(seed): nothing moves any more"])
        outcome.steps = executor.steps
        return outcome
    }

    // MARK: - Registers

    private struct Times: Pipe {
        let factor: Int64
        let schemas: [Schema]
        let source: String
        func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
            guard let table = batch.table(source) else { throw SluiceError(.init("no_table"), .fatal, "no table \(source)") }
            let values = (0..<table.rowCount).map { table.columns[3].load($0, as: Int64.self) * factor }
            return [Table(schema: schemas[0], columns: Array(table.columns[..<3]) + [Column.int64(values)], rowCount: table.rowCount)]
        }
    }

    /// Cannot process some rows the first time, when there is trouble: an upstream that lies now and then, say.
    private struct Even: Pipe {
        let schemas: [Schema]
        let source: String
        let trouble: SimulatedTrouble
        func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
            guard let table = batch.table(source) else { throw SluiceError(.init("no_table"), .fatal, "no table \(source)") }
            let even = (0..<table.rowCount).filter { table.columns[3].load($0, as: Int64.self) % 4 == 0 }
            report.filter("odd", rows: table.rowCount - even.count)
            var kept: [Int] = []
            for row in even {
                guard trouble.happens(2) else {
                    kept.append(row)
                    continue
                }
                report.deadLetters.append(
                    DeadLetter(
                        register: "even", row: "log \(table.columns[2].load(row, as: Int64.self))",
                        block: BlockRef(number: table.columns[0].load(row), hash: table.columns[1].load(row)), reason: "simulated",
                        message: "the simulated row cannot be processed", payload: "{}"))
            }
            return [Table(schema: schemas[0], columns: table.columns.map { $0.rows(kept) }, rowCount: kept.count)]
        }
    }

    private static func schema(_ name: String) -> Schema {
        Schema(name: name, key: simulatedSchema.key, doc: "", fields: simulatedSchema.fields)
    }

    private static func registers(_ trouble: SimulatedTrouble, _ violations: Box<[String]>) -> [Register] {
        [
            Register(
                name: "values", number: RegisterType(rawValue: 200), doc: "", schemas: [simulatedSchema], needs: [Need("values")],
                maker: .oracle { Times(factor: 1, schemas: [simulatedSchema], source: "values") }),
            Register(
                name: "doubled", number: RegisterType(rawValue: 201), doc: "", schemas: [schema("doubled")], dependencies: ["values"],
                needs: [Need("values")], maker: .pipe { _ in Times(factor: 2, schemas: [schema("doubled")], source: "values") }),
            Register(
                name: "even", number: RegisterType(rawValue: 202), doc: "", schemas: [schema("even")], dependencies: ["doubled"],
                needs: [Need("doubled")], maker: .pipe { _ in Even(schemas: [schema("even")], source: "doubled", trouble: trouble) }),
            SimulatedWishes.register([], violations),
        ]
    }

    /// What a clean run over the chain would leave of a register.
    private static func clean(_ register: String, _ blocks: [SimulatedChain.Block], from start: UInt64) -> [SimulatedStore.Row: Int] {
        var rows: [SimulatedStore.Row: Int] = [:]
        for block in blocks where block.ref.number >= start {
            for index in 0..<Int(block.value % 3) {
                let value = Int64(block.value) + Int64(index)
                let shown: Int64? =
                    switch register {
                    case "values": value
                    case "doubled": value * 2
                    case "told": value * 3
                    default: value * 2 % 4 == 0 ? value * 2 : nil
                    }
                guard let shown else { continue }
                rows[
                    SimulatedStore.Row(
                        number: Int64(block.ref.number), hash: block.ref.hash.bytes, index: Int64(index), value: shown)] = 1
            }
        }
        return rows
    }

    // MARK: - The world

    /// What outlives a process.
    private struct World: Sendable {
        let plans: [Plan]
        let chain: SimulatedChain
        let memory: SimulatedMemory
        let journal: SimulatedJournal
        let trouble: SimulatedTrouble
        let time: TimeSource
    }

    private func world(_ time: TimeSource) async -> Outcome {
        var random = SeededRandom(seed: seed)
        var outcome = Outcome()
        let chain = SimulatedChain(head: UInt64.random(in: 5...60, using: &random), finality: UInt64.random(in: 4...24, using: &random))
        let memory = SimulatedMemory()
        let violations = Box<[String]>([])
        let trouble = SimulatedTrouble(seed: seed &+ 1, share: Double(Int.random(in: 0...3, using: &random)) * 0.03)
        let state = SimulatedWishes.State(trouble: trouble)
        let plans = (0..<Int.random(in: 1...4, using: &random)).map { index in
            let count = Int.random(in: 1...3, using: &random)
            return Plan(
                name: "p\(index)", registers: Array(Self.registers(trouble, violations).shuffled(using: &random)[..<count]), state: state,
                start: UInt64.random(in: 0...8, using: &random),
                sinks: (0..<Int.random(in: 1...2, using: &random)).map { _ in
                    (SimulatedStore(), Int.random(in: 1...5, using: &random), Int.random(in: 0..<4, using: &random) == 0)
                })
        }
        let world = World(
            plans: plans, chain: chain, memory: memory, journal: SimulatedJournal(isTraced: isTraced), trouble: trouble, time: time)
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            await process(world, random: &random, outcome: &outcome, isLast: false)
            outcome.crashes += 1
        }
        trouble.heal()
        await process(world, random: &random, outcome: &outcome, isLast: true)
        outcome.blocks = chain.head.number
        (outcome.letters, outcome.replays) = world.journal.counts
        check(world, &outcome)
        outcome.failures += violations.value.prefix(3).map { "seed \(seed): \($0)" }
        return outcome
    }

    /// One life of the process: until it is killed, or (the last one) until all have caught up.
    private func process(_ world: World, random: inout SeededRandom, outcome: inout Outcome, isLast: Bool) async {
        let (chain, memory, trouble, time) = (world.chain, world.memory, world.trouble, world.time)
        let calls = Box(0)
        world.journal.restart()
        let registry: Registry
        do { registry = try Registry(Self.registers(trouble, Box([]))) } catch {
            outcome.failures.append("\(error)")
            return
        }
        let hub = Hub(
            Hub.Surroundings(
                registry: registry, journal: world.journal, recent: memory, time: time,
                log: isTraced ? Log(level: .debug, clock: { 0 }, sink: { print($0, terminator: "") }) : .disabled,
                edgeCapacity: Int.random(in: 1...8, using: &random) << 11
            ) { needs, observe in
                SimulatedWishes.Reader(
                    base: SimulatedOracle(chain: chain, memory: memory, trouble: trouble, time: time, observe: observe, calls: calls),
                    needs: needs)
            })
        let sinks = world.plans.map { plan in
            plan.sinks.enumerated().map { index, sink in
                SinkAttachment(
                    "s\(index)",
                    SimulatedSink(
                        sink.store, trouble: trouble, time: time, perTransaction: sink.perTransaction, holdsBack: sink.holdsBack,
                        isTraced: isTraced))
            }
        }
        let seed = random.next()
        let steps = isLast ? 0 : Int.random(in: 3...25, using: &random)
        let result = await withTaskGroup(of: Outcome?.self) { group in
            group.addTask {
                await hub.run()
                return nil
            }
            group.addTask {
                await operate(hub, world, sinks, registry, seed: seed, steps: steps, isLast: isLast)
            }
            var found: Outcome?
            while let part = await group.next() {
                guard let part else { continue }
                found = part
                // Dead: what was not durable is gone. From here on nothing that this process does reaches a store.
                if !isLast { for plan in world.plans { for sink in plan.sinks { _ = sink.store.newGeneration() } } }
                group.cancelAll()
            }
            return found
        }
        if let result {
            outcome.failures += result.failures
            outcome.reorganisations += result.reorganisations
            outcome.pauses += result.pauses
            outcome.changes += result.changes
        }
    }

    /// What happens to the pipelines and to the chain.
    private func operate(
        _ hub: Hub, _ world: World, _ sinks: [[SinkAttachment]], _ registry: Registry, seed: UInt64, steps: Int, isLast: Bool
    ) async -> Outcome {
        await withTaskGroup(of: Void.self) { runs in
            let outcome = await operate(hub, world, sinks, seed: seed, steps: steps, isLast: isLast, runs: &runs)
            if !isLast { runs.cancelAll() }
            return outcome
        }
    }

    private func operate(
        _ hub: Hub, _ world: World, _ sinks: [[SinkAttachment]], seed: UInt64, steps: Int, isLast: Bool, runs: inout TaskGroup<Void>
    ) async -> Outcome {
        let (plans, chain, time) = (world.plans, world.chain, world.time)
        var random = SeededRandom(seed: seed)
        var outcome = Outcome()
        var running: [Int: PipelineLanes] = [:]
        func begin(_ indices: [Int], runs: inout TaskGroup<Void>) {
            var branches: [Branch] = []
            for index in indices {
                let plan = plans[index]
                let run = PipelineLanes(
                    PipelineDefinition(name: plan.name, chainID: 1, registers: plan.registers, start: plan.start, state: plan.state),
                    hub: hub, until: nil,
                    lanes: sinks[index].map { PipelineLanes.Lane(attachment: $0, startup: Bool.random(using: &random) ? .fail : .wait) },
                    progress: LaneProgress()
                ) { _ in }
                running[index] = run
                branches += run.branches
                runs.addTask { await run.work() }
            }
            hub.join(branches)
        }
        // Some start together, others alone.
        begin(plans.indices.filter { _ in isLast || Bool.random(using: &random) }, runs: &runs)
        for _ in 0..<steps {
            try? await time.sleep(.milliseconds(Int.random(in: 1...6000, using: &random)))
            switch Int.random(in: 0..<8, using: &random) {
            case 0, 1: chain.extend(by: UInt64.random(in: 1...6, using: &random))
            case 2:
                chain.reorganise(depth: UInt64.random(in: 1...chain.finality, using: &random), by: UInt64.random(in: 1...8, using: &random))
                outcome.reorganisations += 1
            case 3: if chain.returnToOldBranch(&random) { outcome.reorganisations += 1 }
            case 4:
                let index = Int.random(in: 0..<plans.count, using: &random)
                if let one = running.removeValue(forKey: index) {
                    if isTraced { print(time.now().sinceStart.seconds, plans[index].name, "is asked to leave") }
                    one.leave()
                    let end = await one.ended()
                    if isTraced { print(time.now().sinceStart.seconds, plans[index].name, "has left:", end) }
                    outcome.pauses += 1
                } else {
                    if isTraced { print(time.now().sinceStart.seconds, plans[index].name, "joins") }
                    begin([index], runs: &runs)
                }
            case 5: world.journal.wantAll()
            default:
                let key = SimulatedWishes.shape.key(of: plans[Int.random(in: 0..<plans.count, using: &random)].name)
                let member = "m\(Int.random(in: 0..<4, using: &random))"
                try? await plans[0].state.apply(Bool.random(using: &random) ? .insert([member], key: key) : .remove([member], key: key))
                outcome.changes += 1
            }
        }
        guard isLast else { return outcome }
        // Peace: within a quarter of an hour all must have everything. What failed is resumed, as an operator would.
        let deadline = time.now() + .seconds(900)
        chain.extend(by: chain.finality + 1)
        while time.now() < deadline {
            world.journal.wantAll()
            try? await time.sleep(.seconds(5))
            if isDone(world) { break }
            for (index, one) in running.sorted(by: { $0.key < $1.key }) where one.hasEnded {
                if isTraced { print(time.now().sinceStart.seconds, plans[index].name, "resumed after", await one.ended()) }
                begin([index], runs: &runs)
            }
        }
        if !isDone(world) { outcome.failures.append("seed \(self.seed): not caught up after a quarter of an hour of peace") }
        for (_, one) in running.sorted(by: { $0.key < $1.key }) {
            one.leave()
            _ = await one.ended()
        }
        hub.end()
        return outcome
    }

    // MARK: - Checks

    private func isDone(_ world: World) -> Bool {
        let chain = world.chain
        // Of a block that no sink ever had nobody takes the letters away.
        if world.journal.openBlocks.contains(where: { chain.block($0.number)?.ref == $0 }) { return false }
        for plan in world.plans {
            for sink in plan.sinks {
                let last = sink.store.segments(StreamID(pipeline: plan.name, chainID: 1)).last?.last
                let goal = sink.holdsBack ? chain.finalized : chain.head.number
                if sink.holdsBack, goal < plan.start + 4 { continue }
                // A batch that begins below finality and ends above waits whole.
                guard let last, last.number + (sink.holdsBack ? 4 : 0) >= goal else { return false }
            }
        }
        return true
    }

    private func check(_ world: World, _ outcome: inout Outcome) {
        let blocks = world.chain.canonical
        for plan in world.plans {
            for (index, sink) in plan.sinks.enumerated() {
                let stream = StreamID(pipeline: plan.name, chainID: 1)
                let segments = sink.store.segments(stream)
                let what = "seed \(seed), \(plan.name) into sink \(index)"
                if sink.holdsBack, segments.isEmpty, world.chain.finalized < plan.start + 4 { continue }
                guard segments.count == 1, let segment = segments.first, segment.first == plan.start else {
                    outcome.failures.append("\(what): segments \(segments.map { "\($0.first)-\($0.last.number)" })")
                    continue
                }
                if let told = world.journal.told(plan.name, "s\(index)"), told != segments {
                    outcome.failures.append("\(what): told to hold \(told.map { "\($0.first)-\($0.last.number)" })")
                }
                let own = blocks.filter { $0.ref.number <= segment.last.number }
                let rows = sink.store.rows(stream)
                for register in plan.registers.map(\.name) {
                    let (found, wanted) = (rows[register, default: [:]], Self.clean(register, own, from: plan.start))
                    guard found != wanted else { continue }
                    let missing = wanted.filter { found[$0.key] == nil }.keys.map(\.number).sorted()
                    let foreign = found.filter { wanted[$0.key] != $0.value }.keys.map(\.number).sorted()
                    outcome.failures.append("\(what): table \(register) lacks rows of \(missing), has others of \(foreign)")
                }
            }
        }
    }
}

extension Branch {
    /// Whether it has ended, for whoever does not want to wait.
    var hasEnded: Bool { !isActive && !isLeaving }
}
