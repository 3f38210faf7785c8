public import SluiceCore
public import SluiceStore
public import SluiceTelemetry
import Synchronization

/// Everything that is read from one network by one kind of oracle: one live reading for all pipelines that follow it, and one
/// reading of history for each group of pipelines that started together.
///
/// Branches that join together travel together, as a convoy: what several of them lack is read once. When a convoy has come near
/// the head, the live reading is held for a moment, the convoy reads up to the very block where that stands, and becomes part of
/// it: across that seam there is no hole and no block twice.
public final class Hub: Sendable {
    /// Makes an oracle that reads what is needed.
    public typealias MakeOracle = @Sendable (_ needs: [Need], _ observe: @escaping @Sendable (OracleEvent) -> Void) -> any Oracle

    /// What the hub works with.
    public struct Surroundings: Sendable {
        let makeOracle: MakeOracle
        let registry: Registry
        let journal: any StreamJournal
        let recent: (any RecentBlocks)?
        let time: TimeSource
        let log: Log
        /// Bytes that may wait on one edge, unless the sink at its end says how many.
        let edgeCapacity: Int
        let identities: ComponentIdentities
        /// What went through the components of history that was read.
        let tally = ComponentTally()

        /// - Parameter recent: the blocks that the oracles remember; nil for readings whose sinks are empty to begin with.
        public init(
            registry: Registry, journal: any StreamJournal, recent: (any RecentBlocks)? = nil, time: TimeSource, log: Log,
            edgeCapacity: Int = 2 << 20, identities: ComponentIdentities = .madeUp, makeOracle: @escaping MakeOracle
        ) {
            self.registry = registry
            self.journal = journal
            self.recent = recent
            self.time = time
            self.log = log
            self.edgeCapacity = edgeCapacity
            self.identities = identities
            self.makeOracle = makeOracle
        }
    }

    private enum Command: Sendable {
        case travel([Branch])
        case end
    }

    let surroundings: Surroundings
    private let live: LiveReading
    private let watch: HubWatch
    private let commands: (stream: AsyncStream<Command>, continuation: AsyncStream<Command>.Continuation)

    public init(_ surroundings: Surroundings) {
        self.surroundings = surroundings
        live = LiveReading(surroundings)
        watch = HubWatch(surroundings)
        // Commands are few, and whoever gives one must never wait.
        commands = AsyncStream.makeStream()
    }

    /// Lets branches join, together. Each of them tells how it fares; `run` must be under way, or begin soon.
    public func join(_ branches: [Branch]) {
        watch.add(branches)
        commands.continuation.yield(.travel(branches))
    }

    /// Lets `run` return once all branches have ended.
    public func end() { commands.continuation.yield(.end) }

    /// Components of the live reading, for status pages.
    public var components: [ComponentStatistics] { live.graph.components }

    /// Components of the readings of history that have ended.
    public var history: [ComponentStatistics] { surroundings.tally.components }

    /// Works until `end` is called and all branches have ended, or the task is cancelled.
    public func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.live.run() }
            group.addTask { await self.watch.run() }
            await withTaskGroup(of: Void.self) { convoys in
                for await command in commands.stream {
                    guard case .travel(let branches) = command else { break }
                    convoys.addTask { await Convoy(branches, surroundings: self.surroundings, live: self.live).travel() }
                }
                if Task.isCancelled { convoys.cancelAll() }
            }
            live.end()
            watch.end()
        }
    }

    /// Replays dead letters of a pipeline that nobody runs, by a branch that has not joined. Its sinks are opened, and left open.
    /// - Returns: what came of each of them, by its id.
    public func replay(_ letters: [DeadLetterRecord], of branch: Branch) async throws -> [Int64: ReplayOutcome] {
        if branch.opened.isEmpty { try await branch.open(surroundings) }
        let runtime = BranchReplay(branch: branch, surroundings: surroundings)
        return try await DeadLetterReplayer(journal: surroundings.journal, stream: branch.stream, runtime: runtime).replay(letters)
    }
}
