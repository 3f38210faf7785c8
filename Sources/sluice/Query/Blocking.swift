import Glibc

/// Runs what blocks on a thread of its own: the cooperative pool has two.
enum Blocking {
    static func run<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
        try await withCheckedThrowingContinuation { continuation in
            thread { continuation.resume(with: Result { try body() }) }
        }
    }

    /// Starts a thread that ends with `body`.
    static func thread(_ body: @escaping @Sendable () -> Void) {
        let job = Unmanaged.passRetained(Job(body))
        var thread = pthread_t()
        let failed = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Job>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, job.toOpaque())
        // Without threads nothing can go on, and no input causes it alone.
        precondition(failed == 0, "cannot start a thread (error \(failed))")
        pthread_detach(thread)
    }

    private final class Job: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}
