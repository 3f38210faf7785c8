import SluiceCore
import SluiceTestKit
import Synchronization

/// Runs tasks one at a time on the thread that calls `run`, in an order that a seed decides. When nothing can run, the clock moves to
/// the next sleeper: hours pass in milliseconds, and the same seed gives the same run.
final class SimulationExecutor: TaskExecutor {
    private struct State {
        var jobs: [UnownedJob] = []
        var random: SeededRandom
        var steps = 0
    }

    let clock = ManualClock()
    private let state: Mutex<State>

    init(seed: UInt64) { state = Mutex(State(random: SeededRandom(seed: seed))) }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        state.withLock { $0.jobs.append(job) }
    }

    /// How many jobs have run: two runs of one seed agree in it.
    var steps: Int { state.withLock { $0.steps } }

    /// Runs `body` and all that it starts, until it ends. Returns nil when it came to a standstill first: nothing to run and nobody asleep.
    func run<R: Sendable>(_ body: @escaping @Sendable () async -> R) -> R? {
        let result = Box<R?>(nil)
        _ = Task(executorPreference: self) {
            let value = await body()
            result.change { $0 = value }
        }
        while result.value == nil {
            let job: UnownedJob? = state.withLock { state in
                guard !state.jobs.isEmpty else { return nil }
                state.steps += 1
                let index = Int.random(in: 0..<state.jobs.count, using: &state.random)
                let job = state.jobs[index]
                state.jobs.swapAt(index, state.jobs.count - 1)
                state.jobs.removeLast()
                return job
            }
            if let job {
                job.runSynchronously(on: asUnownedTaskExecutor())
            } else if let next = clock.nextDeadline {
                clock.advance(by: next - clock.now)
            } else {
                return nil
            }
        }
        return result.value
    }
}
