/// Where one thread leaves a value, and another waits for it.
public final class Slot<T: Sendable>: @unchecked Sendable {
    // SAFETY: `value` is only touched inside of `gate.locked`.
    private let gate = Gate()
    private var value: T?

    public init() {}

    public func fill(_ value: T) {
        gate.locked {
            self.value = value
            gate.signal()
        }
    }

    /// Blocks the calling thread until there is a value. Only for threads that may block, never for a task's.
    public func take() -> T {
        gate.locked {
            while true {
                if let value { return value }
                gate.wait()
            }
        }
    }
}
