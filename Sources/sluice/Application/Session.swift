import SluiceCatalog
import SluiceCommand
import SluiceConfig
import SluiceCore
import SluiceFlow
import SluiceStore
import SluiceTelemetry
import Synchronization

/// One run of `sluice run` or `sluice backfill`: opens everything, lets the pipelines work side by side, shows how they do, closes.
enum Session {
    /// Follows the networks into the sinks until stopped, until block `until` is in every sink, or until nothing works any more.
    /// - Parameter alongside: runs beside the pipelines and ends with them.
    static func follow(
        _ arguments: Arguments, until: UInt64?, during alongside: @escaping @Sendable (StopSignal) async -> Void
    ) async throws -> ExitCode {
        try await opened(arguments) { application, stop, screen in
            if until != nil, let shared = application.configuration.pipelines.first(where: { application.shared[$0.network] != nil }) {
                throw UsageError(
                    "\(shared.name) reads a topic: each of its partitions counts its offsets by itself, so that no block is the last of all",
                    help: "leave --until-block out, or say --for DURATION")
            }
            let manager = try application.manager(until: until)
            let display = RunDisplay(
                application.configuration, pipelines: application.configuration.pipelines.map(\.name), path: arguments.config, range: nil,
                quiet: arguments.has("--quiet"), screen: screen
            ) { await manager.list.map(RunDisplay.Moment.init) }
            return try await withServers(of: application, display, application.configuration.pipelines) {
                await withTaskGroup(of: Void.self) { group in
                    group.addTask { await manager.run() }
                    group.addTask { await alongside(stop) }
                    group.addTask { await display.show(application.store) }
                    group.addTask {
                        await stop.wait()
                        await manager.shutDown()
                    }
                    var failure: (any Error)?
                    do {
                        try await manager.adopt(application.requests)
                        await manager.atRest()
                    } catch { failure = error }
                    let wasStopped = stop.isRaised
                    await manager.shutDown()
                    group.cancelAll()
                    let failed = await manager.list.compactMap(\.failure).first
                    if let error = failure ?? failed { return Outcome.ended(.failed(error)) }
                    return .ended(wasStopped ? .left : .completed)
                }
            }
        }
    }

    /// Reads a range of blocks into the sinks that lack it.
    static func backfill(_ arguments: Arguments, _ range: ClosedRange<UInt64>) async throws -> ExitCode {
        try await opened(arguments) { application, stop, screen in
            let chosen = try Self.pipelines(arguments, application.configuration)
            let branches = chosen.compactMap { application.branch($0, goal: .range(range)) }
            let ends = RangeEnds()
            let display = RunDisplay(
                application.configuration, pipelines: branches.map(\.definition.name), path: arguments.config, range: range,
                quiet: arguments.has("--quiet"), screen: screen
            ) { branches.map { ends.moment($0) } }
            return try await withServers(of: application, display, chosen) {
                await work(branches, of: application, chosen, display, stop, ends, isQuiet: screen != nil)
            }
        }
    }

    // MARK: - What both do

    private static func opened(
        _ arguments: Arguments, _ body: (Application, StopSignal, Screen?) async throws -> Outcome
    ) async throws -> ExitCode {
        let stop = StopSignal()
        let watcher = StopWatcher()
        watcher.watch(stop)
        let configuration = try SluiceConfiguration.load(path: arguments.config, catalog: Catalog.configuration)
        let screen = Output.isTerminal && !arguments.has("--quiet") ? Screen() : nil
        let log = try Logging.log(arguments, screen: screen)
        let application = try await Application.open(configuration, log: log)
        let outcome: Outcome
        do {
            try await application.keepConfigured(configuration.pipelines)
            outcome = try await body(application, stop, screen)
        } catch {
            await application.close()
            throw error
        }
        await application.close()
        switch outcome {
        case .ended(.completed), .aside: return .success
        case .ended(.left): return watcher.exitCode
        case .ended(.failed(let error)): throw error
        }
    }

    /// Answers queries while `body` works, and shows the end.
    private static func withServers(
        of application: Application, _ display: RunDisplay, _ pipelines: [PipelineSettings], _ body: () async throws -> Outcome
    ) async throws -> Outcome {
        let servers = QueryServer.start(for: application.configuration, pipelines: pipelines.map(\.name), log: application.log)
        // The pipelines of other configurations of this state file would be shown as if they still ran.
        for status in (try? await application.store.statuses()) ?? []
        where !application.configuration.pipelines.contains(where: { $0.name == status.pipeline }) {
            try? await application.store.removeStatus(of: status.pipeline)
        }
        let outcome = try await body()
        for server in servers { server.stop() }
        await display.finish(application.store)
        return outcome
    }

    // MARK: - Ranges

    private static func work(
        _ branches: [Branch], of application: Application, _ chosen: [PipelineSettings], _ display: RunDisplay, _ stop: StopSignal,
        _ ends: RangeEnds, isQuiet: Bool
    ) async -> Outcome {
        await withTaskGroup(of: Outcome.self) { group in
            group.addTask {
                await display.show(application.store)
                return .aside
            }
            group.addTask {
                await stop.wait()
                for branch in branches { branch.leave() }
                return .aside
            }
            for (network, hub) in application.hubs {
                let own = branches.filter { branch in
                    chosen.contains { $0.name == branch.definition.name && $0.network == network }
                }
                guard !own.isEmpty else { continue }
                group.addTask {
                    await hub.run()
                    return .aside
                }
                // They travel together: what several of them lack is read once.
                group.addTask {
                    hub.join(own)
                    hub.end()
                    return .aside
                }
            }
            for branch in branches {
                group.addTask {
                    let end = await branch.ended()
                    // The others go on: a pipeline that fails does not stop its neighbours.
                    if case .failed(let error) = end, !isQuiet {
                        application.log.error("pipeline failed", ["pipeline": "\(branch.definition.name)", "error": "\(error)"])
                    }
                    ends.note(branch, end)
                    return .ended(end)
                }
            }
            var left = branches.count
            var worst = Outcome.ended(.completed)
            while left > 0, let result = await group.next() {
                if case .aside = result { continue }
                left -= 1
                worst = worst.worse(result)
            }
            group.cancelAll()
            return worst
        }
    }

    private enum Outcome: Sendable {
        case aside
        case ended(Branch.End)

        func worse(_ other: Outcome) -> Outcome {
            switch (self, other) {
            case (.ended(.failed), _): self
            case (_, .ended(.failed)): other
            case (.ended(.left), _), (_, .ended(.left)): .ended(.left)
            default: .ended(.completed)
            }
        }
    }

    private static func pipelines(_ arguments: Arguments, _ configuration: SluiceConfiguration) throws -> [PipelineSettings] {
        let names = configuration.pipelines.map(\.name)
        for name in arguments.operands where !names.contains(name) {
            throw UsageError("no pipeline is called \(name)", suggestion: Spelling.nearest(to: name, in: names))
        }
        let chosen = configuration.pipelines.filter { arguments.operands.isEmpty || arguments.operands.contains($0.name) }
        let shared = chosen.filter { configuration.network($0.network)?.service != nil }.map(\.name)
        guard shared.isEmpty || arguments.operands.isEmpty && shared.count < chosen.count else {
            throw UsageError(
                "\(shared.joined(separator: ", ")) reads a topic: each of its partitions counts its offsets by itself, so that no range means all",
                help: "sluice run reads it from where the sinks stand")
        }
        let combining = chosen.filter { $0.synchronization != nil }.map(\.name)
        // Named, they are refused; else they are left out where others can be read.
        guard combining.isEmpty || arguments.operands.isEmpty && combining.count < chosen.count else {
            throw UsageError(
                "\(combining.joined(separator: ", ")) combines streams: whose blocks the range means cannot be said",
                help: "sluice run reads its streams from their starts")
        }
        return chosen.filter { $0.synchronization == nil && !shared.contains($0.name) }
    }
}

/// How the branches of a backfill ended, as far as they have.
private final class RangeEnds: Sendable {
    private let ends = Mutex<[String: Branch.End]>([:])

    func note(_ branch: Branch, _ end: Branch.End) { ends.withLock { $0[branch.definition.name] = end } }

    func moment(_ branch: Branch) -> RunDisplay.Moment {
        let name = branch.definition.name
        var (state, failure): (PipelineReport.State?, (any Error)?) = (nil, nil)
        switch ends.withLock({ $0[name] }) {
        case nil: break
        case .completed: state = .done
        case .left: state = .stopped
        case .failed(let error): (state, failure) = (.error, error)
        }
        return RunDisplay.Moment(name: name, snapshot: branch.progress.snapshot, state: state, failure: failure.map { "\($0)" })
    }
}
