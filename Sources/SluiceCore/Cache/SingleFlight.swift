import Synchronization

/// Lets many who ask for the same at one time wait for one of them. What that one gets all get, its error too; when it is cancelled, the next
/// one takes over.
public final class SingleFlight: Sendable {
    private enum Outcome: Sendable {
        case value([UInt8])
        case failure(any Error)
        /// Who was to find out was cancelled.
        case again
    }

    private struct Flights {
        /// By key, those who wait; a key that nobody works on is not there.
        var waiting: [String: [UInt64: CheckedContinuation<Outcome, any Error>]] = [:]
        var next: UInt64 = 0
    }

    private let flights = Mutex(Flights())

    public init() {}

    /// - Parameter waited: called once by each who waits for somebody else.
    public func run(_ key: String, waited: () -> Void, _ body: () async throws -> [UInt8]) async throws -> [UInt8] {
        var hasWaited = false
        while true {
            let isFirst = flights.withLock { flights in
                if flights.waiting[key] != nil { return false }
                flights.waiting[key] = [:]
                return true
            }
            if isFirst { return try await lead(key, body) }
            if !hasWaited { waited() }
            hasWaited = true
            switch try await outcome(key) {
            case .value(let bytes): return bytes
            case .failure(let error): throw error
            case .again: try Task.checkCancellation()
            }
        }
    }

    private func lead(_ key: String, _ body: () async throws -> [UInt8]) async throws -> [UInt8] {
        let outcome: Outcome
        defer { end(key, outcome) }
        do {
            let bytes = try await body()
            outcome = .value(bytes)
            return bytes
        } catch {
            outcome = Task.isCancelled || error is CancellationError ? .again : .failure(error)
            throw error
        }
    }

    private func end(_ key: String, _ outcome: Outcome) {
        let waiting = flights.withLock { $0.waiting.removeValue(forKey: key) }
        for continuation in (waiting ?? [:]).values { continuation.resume(returning: outcome) }
    }

    private func outcome(_ key: String) async throws -> Outcome {
        let own = flights.withLock { flights in
            flights.next += 1
            return flights.next
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isOver = flights.withLock { flights in
                    guard flights.waiting[key] != nil else { return true }
                    flights.waiting[key]?[own] = continuation
                    return false
                }
                if isOver { continuation.resume(returning: .again) } else if Task.isCancelled { cancel(key, own) }
            }
        } onCancel: {
            cancel(key, own)
        }
    }

    private func cancel(_ key: String, _ own: UInt64) {
        flights.withLock { $0.waiting[key]?.removeValue(forKey: own) }?.resume(throwing: CancellationError())
    }
}
