import SluiceCatalog
import SluiceCommand
import SluiceConfig
import SluiceCore
import SluiceFlow
import SluiceStore
import SluiceTelemetry

/// One run of `sluice run` or `sluice backfill`: opens everything, lets the pipelines work side by side, shows how they do, closes.
enum Session {
    /// - Parameters:
    ///   - work: what one pipeline does; returns false when it was stopped before its end.
    ///   - alongside: runs beside the pipelines and ends with them.
    static func run(
        _ arguments: Arguments, backfilling range: ClosedRange<UInt64>? = nil,
        work: @escaping @Sendable (PipelineRunner) async throws -> Bool,
        during alongside: @escaping @Sendable (StopSignal) async -> Void = { _ in }
    ) async throws -> ExitCode {
        let stop = StopSignal()
        let watcher = StopWatcher()
        watcher.watch(stop)
        let configuration = try SluiceConfiguration.load(path: arguments.config, catalog: Catalog.configuration)
        let screen = Output.isTerminal && !arguments.has("--quiet") ? Screen() : nil
        let log = try Logging.log(arguments, screen: screen)
        let application = try await Application.open(configuration, stop: stop, log: log)
        let chosen: [PipelineRunner]
        do { chosen = try Self.runners(arguments, application) } catch {
            await application.close()
            throw error
        }
        let display = RunDisplay(
            runners: chosen, configuration: configuration, path: arguments.config, range: range, quiet: arguments.has("--quiet"),
            screen: screen)
        let servers = QueryServer.start(for: configuration, pipelines: chosen.map(\.definition.name), log: log)
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
            for runner in chosen {
                group.addTask {
                    do {
                        let completely = try await work(runner)
                        await display.finished(runner, completely: completely)
                        return completely ? .finished : .stopped
                    } catch {
                        // The others go on: a pipeline that fails does not stop its neighbours.
                        if screen == nil { log.error("pipeline failed", ["pipeline": "\(runner.definition.name)", "error": "\(error)"]) }
                        await display.failed(runner, error)
                        return .failed(error)
                    }
                }
            }
            var left = chosen.count
            var worst = Outcome.finished
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
        case .finished, .aside: return .success
        case .stopped: return watcher.exitCode
        case .failed(let error): throw error
        }
    }

    private enum Outcome: Sendable {
        case aside, finished, stopped
        case failed(any Error)

        func worse(_ other: Outcome) -> Outcome {
            switch (self, other) {
            case (.failed, _): self
            case (_, .failed): other
            case (.stopped, _), (_, .stopped): .stopped
            default: .finished
            }
        }
    }

    private static func runners(_ arguments: Arguments, _ application: Application) throws -> [PipelineRunner] {
        let names = application.runners.map(\.definition.name)
        for name in arguments.operands where !names.contains(name) {
            throw UsageError("no pipeline is called \(name)", suggestion: Spelling.nearest(to: name, in: names))
        }
        return application.runners.filter { arguments.operands.isEmpty || arguments.operands.contains($0.definition.name) }
    }
}
