import Glibc
import SluiceCore
import Synchronization
import Testing

@Suite struct WorkerThreadTests {
    /// What an actor that lives on a thread of its own is seen from outside.
    private actor Store {
        nonisolated let worker: WorkerThread
        nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }
        private(set) var taken: [Int] = []

        init(_ worker: WorkerThread) { self.worker = worker }

        /// Returns the thread that it ran on.
        func take(_ number: Int) -> UInt {
            taken.append(number)
            return currentThread()
        }
    }

    @Test("a task that prefers an actor's thread runs there, also behind what it waits for, and its calls stay in order")
    func preference() async {
        let store = Store(WorkerThread(name: "store"))
        let threads = await Task(executorPreference: store.worker) { () -> Set<UInt> in
            var threads: Set<UInt> = [currentThread()]
            for number in 0..<100 {
                threads.insert(await store.take(number))
                await Task.yield()
                threads.insert(currentThread())
                // A child inherits what its parent prefers.
                async let child = elsewhere()
                threads.insert(await child)
            }
            return threads
        }.value
        #expect(threads.count == 1)
        #expect(await store.taken == Array(0..<100))
    }

    @Test("tasks without a preference, and calls into other actors, do not run there")
    func others() async {
        let (one, two) = (Store(WorkerThread(name: "one")), Store(WorkerThread(name: "two")))
        let threads = await Task(executorPreference: one.worker) { [currentThread(), await two.take(0), currentThread()] }.value
        #expect(threads[0] == threads[2])
        #expect(threads[1] != threads[0])
        let own = one.worker.wait { currentThread() }
        #expect(own == threads[0])
        // Who only calls the actor goes back to where it came from.
        for _ in 0..<20 {
            let seen = await Task.detached { [await one.take(1), currentThread()] }.value
            #expect(seen[0] == own && seen[1] != own)
        }
    }

    @Test("a thread that nobody but a task's job holds lives until the job is done")
    func lifetime() async {
        let started = Slot<Void>()
        let task: Task<Int, Never>
        do {
            let worker = WorkerThread(name: "short")
            task = Task(executorPreference: worker) {
                started.fill(())
                return 7
            }
        }
        #expect(await task.value == 7)
        started.take()
    }

    @Test("a thread that stands back does so once, and leaves the others as they are")
    func standingBack() {
        @Sendable func nice() -> Int32 { getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0) }
        let before = nice()
        let worker = WorkerThread(name: "behind")
        let seen = worker.wait { () -> [Int32] in
            var seen = [nice()]
            for _ in 0..<3 {
                ThreadPriority.standBack()
                seen.append(nice())
            }
            return seen
        }
        let behind = min(19, before + 5)
        #expect(seen == [before, behind, behind, behind])
        #expect(nice() == before)
    }
}

/// A number of the calling thread.
private func currentThread() -> UInt { UInt(pthread_self()) }

private func elsewhere() async -> UInt { currentThread() }
