/// A task that is suspended. A class, so that the types that hold one have a size when they are compiled: a `CheckedContinuation` has not,
/// and every use of a type with one inside would ask for it, and make room on the heap of the task.
final class Waiter<Value: Sendable>: Sendable {
    private let continuation: CheckedContinuation<Value, any Error>

    init(_ continuation: CheckedContinuation<Value, any Error>) { self.continuation = continuation }

    func resume(with result: Result<Value, any Error>) { continuation.resume(with: result) }
    func resume(throwing error: any Error) { continuation.resume(throwing: error) }
}

extension Waiter<Void> {
    func resume() { resume(with: .success(())) }
}
