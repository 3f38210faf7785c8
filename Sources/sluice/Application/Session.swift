import SluiceCatalog
import SluiceCommand
import SluiceConfig
import SluiceCore
import SluiceFlow
import SluiceStore
import SluiceTelemetry

/// One run of `sluice run` or `sluice backfill`: opens everything, lets the pipelines work side by side, shows how they do, closes.
enum Session {
    /// - Parameter alongside: runs beside the pipelines and ends with them.
    static func run(
        _ arguments: Arguments, goal: Branch.Goal, during alongside: @escaping @Sendable (StopSignal) async -> Void = { _ in }
    ) async throws -> ExitCode {
        let stop = StopSignal()
        let watcher = StopWatcher()
        watcher.watch(stop)
        let configuration = try SluiceConfiguration.load(path: arguments.config, catalog: Catalog.configuration)
        let screen = Output.isTerminal && !arguments.has("--quiet") ? Screen() : nil
        let log = try Logging.log(arguments, screen: screen)
        let application = try await Application.open(configuration, log: log)
        let chosen: [PipelineSettings]
        do {
            chosen = try Self.pipelines(arguments, configuration)
            try await application.keepConfigured(chosen)
        } catch {
            await application.close()
            throw error
        }
        let branches = chosen.compactMap { application.branch($0, goal: goal) }
        var range: ClosedRange<UInt64>?
        if case .range(let blocks) = goal { range = blocks }
        let display = RunDisplay(
            branches: branches, configuration: configuration, path: arguments.config, range: range, quiet: arguments.has("--quiet"),
            screen: screen)
        let servers = QueryServer.start(for: configuration, pipelines: chosen.map(\.name), log: log)
        // The pipelines of other configurations of this state file would be shown as if they still ran.
        for status in (try? await application.store.statuses()) ?? []
        where !configuration.pipelines.contains(where: { $0.name == status.pipeline }) {
            try? await application.store.removeStatus(of: status.pipeline)
        }
        let outcome = await withTaskGroup(of: Outcome.self) { group in
            group.addTask {
                await alongside(stop)
                return .aside
            }
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
                    if case .failed(let error) = end, screen == nil {
                        log.error("pipeline failed", ["pipeline": "\(branch.definition.name)", "error": "\(error)"])
                    }
                    await display.ended(branch, end)
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
        for server in servers { server.stop() }
        await display.finish(application.store)
        await application.close()
        switch outcome {
        case .ended(.completed), .aside: return .success
        case .ended(.left): return watcher.exitCode
        case .ended(.failed(let error)): throw error
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
        return configuration.pipelines.filter { arguments.operands.isEmpty || arguments.operands.contains($0.name) }
    }
}
