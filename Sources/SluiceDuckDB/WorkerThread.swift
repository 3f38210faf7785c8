import CDuckDB
import Glibc

/// A thread that runs the jobs of an actor, one behind the other. DuckDB blocks, for seconds when it must, and the
/// cooperative pool has as many threads as the machine has cores: what blocks stays off it.
///
/// An actor that runs here returns it as its `unownedExecutor` and calls `stop()` in its `deinit`; until then the thread keeps
/// the executor alive.
public final class WorkerThread: SerialExecutor, @unchecked Sendable {
    // SAFETY: `jobs` and `stopping` are touched inside `gate.locked` only.
    private let gate = Gate()
    private var jobs: [UnownedJob] = []
    private var stopping = false
    private let label: String

    /// Starts the thread. `name` shows in `top` and debuggers, cut to 15 bytes.
    public init(name: String) {
        label = String(decoding: name.utf8.prefix(15), as: UTF8.self)
        var thread = pthread_t()
        let failed = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<WorkerThread>.fromOpaque(argument).takeRetainedValue().loop()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        // Without threads nothing can go on, and no input causes it alone.
        precondition(failed == 0, "cannot start a thread (error \(failed))")
        pthread_detach(thread)
    }

    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        gate.locked {
            jobs.append(job)
            gate.signal()
        }
    }

    public func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    /// Ends the thread when all jobs that were handed over are done.
    public func stop() {
        gate.locked {
            stopping = true
            gate.signal()
        }
    }

    private func loop() {
        duck_name_thread(label)
        while true {
            let batch: [UnownedJob] = gate.locked {
                while jobs.isEmpty && !stopping { gate.wait() }
                defer { jobs = [] }
                return jobs
            }
            if batch.isEmpty { return }
            for job in batch { job.runSynchronously(on: asUnownedSerialExecutor()) }
        }
    }
}
