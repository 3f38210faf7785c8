import SluiceCore
import Synchronization

extension SluiceError.Code {
    /// A sink is so far behind that it is not known what it holds.
    static let sinkBehind = SluiceError.Code("sink_behind")
}

/// Replays into the sinks of a branch, whether it is being read for at the moment or not.
struct BranchReplay: DeadLetterReplay {
    let branch: Branch
    let surroundings: Hub.Surroundings

    /// Blocks between two wanted ones that are read for nothing, rather than asking twice.
    private static let nearby: UInt64 = 4
    private static let readsAtOnce = 8
    /// How long it waits for a sink to take what is on its way there.
    private static let patience = Duration.seconds(20)

    // MARK: - Reading

    func read(_ numbers: [UInt64]) async throws -> [UInt64: ReplayedBlock] {
        let wanted = Set(numbers)
        return try await withThrowingTaskGroup(of: [UInt64: ReplayedBlock].self) { group in
            var blocks: [UInt64: ReplayedBlock] = [:]
            for (index, range) in Self.ranges(numbers).enumerated() {
                // Enough that the way to the source and back is not waited for one block at a time.
                if index >= Self.readsAtOnce, let some = try await group.next() { blocks.merge(some) { _, new in new } }
                group.addTask { try await read(range, wanted.intersection(range)) }
            }
            for try await some in group { blocks.merge(some) { _, new in new } }
            return blocks
        }
    }

    /// The ranges in which some numbers lie, ascending.
    static func ranges(_ numbers: [UInt64]) -> [ClosedRange<UInt64>] {
        numbers.sorted().reduce(into: []) { ranges, number in
            if let last = ranges.last, number - last.upperBound <= nearby {
                ranges[ranges.count - 1] = last.lowerBound...number
            } else {
                ranges.append(number...number)
            }
        }
    }

    /// Components of its own, which know what those of the branch knew before these blocks, over the branch's own kind of oracle.
    private func read(_ range: ClosedRange<UInt64>, _ wanted: Set<UInt64>) async throws -> [UInt64: ReplayedBlock] {
        let (journal, definition) = (surroundings.journal, branch.definition)
        let graph = ComponentGraph(surroundings, position: nil, floor: range.lowerBound) { _ in }
        let reader = Branch(definition, goal: .range(range), sinks: [], progress: PipelineProgress())
        try await graph.add([(reader, [])])
        let collector = BlockCollector(graph: graph, wanted: wanted)
        let oracle = surroundings.makeOracle(graph.needs) { _ in }
        try await oracle.backfill(range, after: nil, into: collector)
        let tables = Dictionary(definition.registers.map { ($0.name, $0.schemas.map(\.name)) }, uniquingKeysWith: { first, _ in first })
        var blocks: [UInt64: ReplayedBlock] = [:]
        for (number, block) in collector.blocks {
            var taught: Set<String> = []
            for (register, findings) in block.findings {
                let known = try await journal.findings(of: branch.stream, register: register, through: number)
                if findings.contains(where: { !known.contains($0) }) { taught.insert(register) }
            }
            blocks[number] = ReplayedBlock(batch: block.batch, deadLetters: block.letters, tables: tables, taught: taught)
        }
        return blocks
    }

    // MARK: - Loading

    func load(_ amendments: [Amendment], into name: String?) async throws -> ReplayLoad {
        try await awaitOnTheWay()
        let letters = RefusedRows(
            journal: surroundings.journal, stream: branch.stream, registers: RefusedRows.registers(branch.definition.registers),
            log: surroundings.log)
        var load = ReplayLoad()
        for branch in branch.all {
            for sink in branch.opened where name.map({ $0 == sink.name }) ?? true {
                let (numbers, refused) = try await sink.inTurn {
                    // Whoever comes after a branch opens its sinks anew.
                    guard branch.isActive else { throw CancellationError() }
                    return try await sink.amend(amendments)
                }
                for number in numbers { load.sinks[number, default: 0] += 1 }
                load.refused += letters.letters(refused, sink: sink.name)
            }
        }
        return load
    }

    /// Returns when the sinks have taken all that components have made by now. A block that a sink does not have then has not been made
    /// for it yet: it will be, by the components that can process its rows, or that keep a letter once more.
    private func awaitOnTheWay() async throws {
        let feeds = branch.all.map(\.feed)
        for feed in feeds { await feed.graph?.settled() }
        let marks = feeds.flatMap(\.edges).map { ($0, $0.sent) }
        let start = surroundings.time.now()
        while let (behind, _) = marks.first(where: { !$0.hasTaken($1) }) {
            guard surroundings.time.now() - start < Self.patience else {
                throw SluiceError(
                    .sinkBehind, .retry, "the sink \(behind.sink.name) has not taken yet what was read before the replay began",
                    mend: "it is tried again")
            }
            try await surroundings.time.sleep(.milliseconds(20))
        }
    }
}

/// Takes what an oracle reads, and keeps of it what the components make of some blocks.
private final class BlockCollector: Egress {
    struct Block {
        let batch: Batch
        let letters: [DeadLetter]
        let findings: [String: [Finding]]
    }

    private let graph: ComponentGraph
    private let wanted: Set<UInt64>
    private let collected = Mutex<[UInt64: Block]>([:])

    init(graph: ComponentGraph, wanted: Set<UInt64>) {
        self.graph = graph
        self.wanted = wanted
    }

    var blocks: [UInt64: Block] { collected.withLock { $0 } }

    func send(_ transit: Transit) async throws {
        switch transit {
        case .finalized: return
        case .rollback(let position):
            throw SluiceError(.onTwoBranches, .retry, "the chain changed behind block \(position.number) while it was read for a replay")
        case .batch(let batch):
            // One block after the other: what a component learns in one is known in the next, and told apart.
            for block in batch.blocks() {
                let made = graph.make(block)
                if let (_, failure) = made.failures.first { throw failure.cause }
                guard wanted.contains(block.span.first), let out = made.parcels.first?.batch else { continue }
                let findings = Dictionary(made.findings.map { ($0.register, $0.findings) }, uniquingKeysWith: { $0 + $1 })
                collected.withLock {
                    $0[block.span.first] = Block(batch: out, letters: made.deadLetters.flatMap(\.1), findings: findings)
                }
            }
        }
    }
}
