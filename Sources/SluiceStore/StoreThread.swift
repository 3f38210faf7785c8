internal import Glibc

/// One thread that runs the jobs of one actor, in order: where calls that block may block. The cooperative pool has as many
/// threads as there are cores and must not wait for a disk.
final class StoreThread: SerialExecutor, @unchecked Sendable {
    // SAFETY: all state is in `Mailbox`, behind its lock.

    private enum Work {
        // The executor goes with the job, so that it cannot be freed while its thread still works for it.
        case job(UnownedJob, StoreThread)
        case call(@Sendable () -> Void)
    }

    private final class Mailbox: @unchecked Sendable {
        // SAFETY: what changes is only touched between lock and unlock.
        private let lock: UnsafeMutablePointer<pthread_mutex_t>
        private let filled: UnsafeMutablePointer<pthread_cond_t>
        private var queue: [Work] = []
        private var stopped = false
        private var thread = pthread_t()

        init() {
            lock = .allocate(capacity: 1)
            filled = .allocate(capacity: 1)
            pthread_mutex_init(lock, nil)
            pthread_cond_init(filled, nil)
        }

        deinit {
            pthread_mutex_destroy(lock)
            pthread_cond_destroy(filled)
            lock.deallocate()
            filled.deallocate()
        }

        /// Notes that the caller is the thread that takes the work.
        func adopt() {
            pthread_mutex_lock(lock)
            thread = pthread_self()
            pthread_mutex_unlock(lock)
        }

        /// Whether the caller is that thread.
        var isOwn: Bool {
            pthread_mutex_lock(lock)
            defer { pthread_mutex_unlock(lock) }
            return pthread_equal(pthread_self(), thread) != 0
        }

        func put(_ work: Work) {
            pthread_mutex_lock(lock)
            queue.append(work)
            pthread_cond_signal(filled)
            pthread_mutex_unlock(lock)
        }

        func stop() {
            pthread_mutex_lock(lock)
            stopped = true
            pthread_cond_signal(filled)
            pthread_mutex_unlock(lock)
        }

        /// Everything that waits; nil when stopped and empty.
        func take() -> [Work]? {
            pthread_mutex_lock(lock)
            defer { pthread_mutex_unlock(lock) }
            while queue.isEmpty {
                if stopped { return nil }
                pthread_cond_wait(filled, lock)
            }
            defer { queue = [] }
            return queue
        }
    }

    private let mailbox = Mailbox()

    /// Starts the thread. It ends by itself after the executor is gone.
    init() {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(mailbox)
        let code = pthread_create(&thread, nil, { StoreThread.main($0) }, context.toOpaque())
        // A process that cannot have one more small thread cannot do its work either; no input causes that.
        precondition(code == 0, "no thread for the state store (error \(code))")
        pthread_detach(thread)
    }

    deinit { mailbox.stop() }

    private static func main(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        guard let context else { return nil }
        let mailbox = Unmanaged<Mailbox>.fromOpaque(context).takeRetainedValue()
        mailbox.adopt()
        while let works = mailbox.take() {
            for work in works {
                switch work {
                case .job(let job, let executor): job.runSynchronously(on: executor.asUnownedSerialExecutor())
                case .call(let body): body()
                }
            }
        }
        return nil
    }

    func enqueue(_ job: consuming ExecutorJob) { mailbox.put(.job(UnownedJob(job), self)) }

    func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    func checkIsolated() {
        precondition(mailbox.isOwn, "not on the state store's thread")
    }

    /// Runs `body` on the thread and waits for it. Only from threads that may block.
    func wait<T: Sendable>(_ body: @escaping @Sendable () -> T) -> T {
        let slot = Slot<T>()
        mailbox.put(.call { slot.fill(body()) })
        return slot.take()
    }

    private final class Slot<T: Sendable>: @unchecked Sendable {
        // SAFETY: written before the semaphore is posted, read after it was waited for.
        private let done: UnsafeMutablePointer<sem_t>
        private var value: T?

        init() {
            done = .allocate(capacity: 1)
            sem_init(done, 0, 0)
        }

        deinit {
            sem_destroy(done)
            done.deallocate()
        }

        func fill(_ value: T) {
            self.value = value
            sem_post(done)
        }

        func take() -> T {
            while sem_wait(done) != 0 {}
            guard let value else { preconditionFailure("a result that was never filled in") }
            return value
        }
    }
}
