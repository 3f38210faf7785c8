import Glibc

/// A thread that runs the jobs of one actor, in order: where C calls that block may block. The cooperative pool has as many threads as
/// there are cores, and must not wait for a disk or a database.
///
/// An actor that runs here returns it as its `unownedExecutor`. A task that talks to that actor all the time may prefer the thread too: then
/// no call waits for a thread of the pool on its way back. The thread ends by itself after the executor is gone.
public final class WorkerThread: SerialExecutor, TaskExecutor, Sendable {
    private enum Work {
        // The executor goes with the job, so that it cannot be freed while its thread still works for it.
        case job(UnownedJob, WorkerThread)
        case call(@Sendable () -> Void)
    }

    /// What waits for the thread; the thread keeps it alive, not the executor.
    private final class Mailbox: @unchecked Sendable {
        // SAFETY: what changes is only touched inside of `gate.locked`.
        private let gate = Gate()
        private var queue: [Work] = []
        private var stopped = false
        private var thread = pthread_t()
        let name: String

        init(name: String) { self.name = name }

        /// Notes that the caller is the thread that takes the work.
        func adopt() { gate.locked { thread = pthread_self() } }

        /// Whether the caller is that thread.
        var isOwn: Bool { gate.locked { pthread_equal(pthread_self(), thread) != 0 } }

        func put(_ work: Work) {
            gate.locked {
                queue.append(work)
                gate.signal()
            }
        }

        func stop() {
            gate.locked {
                stopped = true
                gate.signal()
            }
        }

        /// Everything that waits; nil when stopped and empty.
        func take() -> [Work]? {
            gate.locked {
                while queue.isEmpty {
                    if stopped { return nil }
                    gate.wait()
                }
                defer { queue = [] }
                return queue
            }
        }
    }

    private let mailbox: Mailbox

    /// Starts the thread. `name` shows in `top` and debuggers, cut to 15 bytes.
    public init(name: String) {
        mailbox = Mailbox(name: String(decoding: name.utf8.prefix(15), as: UTF8.self))
        var thread = pthread_t()
        let code = pthread_create(&thread, nil, { WorkerThread.main($0) }, Unmanaged.passRetained(mailbox).toOpaque())
        // A process that cannot have one more thread cannot do its work either, and no input causes that alone.
        precondition(code == 0, "cannot start a thread (error \(code))")
        pthread_detach(thread)
    }

    deinit { mailbox.stop() }

    private static func main(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        guard let context else { return nil }
        let mailbox = Unmanaged<Mailbox>.fromOpaque(context).takeRetainedValue()
        showName(mailbox.name)
        mailbox.adopt()
        while let works = mailbox.take() {
            for work in works {
                switch work {
                case .job(let job, let executor):
                    job.runSynchronously(
                        isolatedTo: executor.asUnownedSerialExecutor(), taskExecutor: executor.asUnownedTaskExecutor())
                case .call(let body): body()
                }
            }
        }
        return nil
    }

    /// Names the calling thread. By way of /proc, because the C call is hidden from Swift; where that fails the thread has no name.
    private static func showName(_ name: String) {
        let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        _ = write(file, name, name.utf8.count)
        close(file)
    }

    public func enqueue(_ job: consuming ExecutorJob) { mailbox.put(.job(UnownedJob(job), self)) }

    public func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    public func checkIsolated() { precondition(mailbox.isOwn, "not on the thread \(mailbox.name)") }

    /// Runs `body` on the thread, behind what waits for it already, and goes on.
    public func run(_ body: @escaping @Sendable () -> Void) { mailbox.put(.call(body)) }

    /// Runs `body` on the thread and waits for it. Only from threads that may block, never from a task.
    public func wait<T: Sendable>(_ body: @escaping @Sendable () -> T) -> T {
        let slot = Slot<T>()
        mailbox.put(.call { slot.fill(body()) })
        return slot.take()
    }
}
