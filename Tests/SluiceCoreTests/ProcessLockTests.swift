import Foundation
import SluiceCore
import SluiceTestKit
import Testing

@Suite struct ProcessLockTests {
    @Test("one at a time has it, and who it is can be read; who waits gets it when the other one is gone")
    func oneAtATime() async throws {
        try await withFolder { folder in
            let file = "\(folder)/a.lock"
            var lock: ProcessLock? = try ProcessLock.take(file)
            #expect(throws: ProcessLock.Failure.held(by: "\(getpid())")) { _ = try ProcessLock.take(file, patience: 1) }
            #expect(!ProcessLock.isHolderGone(file))
            let waiting = WorkerThread(name: "waiting")
            async let taken = withCheckedContinuation { continuation in
                waiting.run { continuation.resume(returning: (try? ProcessLock.take(file, patience: 1_200)) != nil) }
            }
            try await Task.sleep(for: .milliseconds(20))
            withExtendedLifetime(lock) {}
            lock = nil
            #expect(await taken)
            #expect(throws: Never.self) { _ = try ProcessLock.take(file) }
        }
    }

    @Test("a file that cannot be made is said with the system's code")
    func unwritable() async throws {
        try await withFolder { folder in
            #expect(throws: ProcessLock.Failure.unwritable(ENOENT)) {
                _ = try ProcessLock.take("\(folder)/none/a.lock")
            }
            #expect(ProcessLock.isHolderGone("\(folder)/none/a.lock"))
        }
    }
}
