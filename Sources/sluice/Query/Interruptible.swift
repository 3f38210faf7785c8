import SluiceCommand
import SluiceCore
import SluiceDuckDB
import SluiceFlow

/// Work that Ctrl-C ends in good order: what is half-done is taken back, and the exit code says so.
enum Interruptible {
    /// Runs `body` on a thread of its own. It registers what an interrupt shall do, as soon as it can.
    static func run(_ body: @escaping @Sendable (_ register: (@escaping @Sendable () -> Void) -> Void) throws -> Void) async throws
        -> ExitCode
    {
        let stop = StopSignal()
        let watcher = StopWatcher()
        watcher.watch(stop)
        let hook = Hook()
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await Blocking.run { try body(hook.set) } }
                group.addTask {
                    await stop.wait()
                    if stop.isRaised { hook.fire() }
                }
                try await group.next()
                // The work ended, or the wish to stop came first and the work is awaited.
                if stop.isRaised { try await group.next() }
                group.cancelAll()
            }
        } catch {
            if stop.isRaised { return watcher.exitCode }
            if let error = error as? SluiceError, error.code == .outputClosed { return .success }
            throw queryError(error)
        }
        return stop.isRaised ? watcher.exitCode : .success
    }

    /// What is wrong with a statement is not wrong with the configuration.
    private static func queryError(_ error: any Error) -> any Error {
        guard let error = error as? SluiceError, error.code == .duckdbSQL || error.code == .duckdbNotARead else { return error }
        return SluiceError(
            error.code, .fatal, error.message, mend: error.mend ?? "sluice query \"SHOW TABLES\" and \"DESCRIBE <table>\" say what there is"
        )
    }
}
