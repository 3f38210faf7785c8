public import SluiceCore

/// Whether a component works.
public enum ActivityState: UInt8, Sendable, CaseIterable {
    /// Made, and not at work yet.
    case inactive = 0
    case live = 1
    /// Ended, for good: who wants it again makes a new one.
    case terminated = 2
}

/// What a component tells the manager when its activity changes.
public struct ActivityChange: Sendable {
    public let component: CUUID
    public let state: ActivityState
    /// Why it ended, when something failed.
    public let cause: SluiceError?

    public init(component: CUUID, state: ActivityState, cause: SluiceError? = nil) {
        self.component = component
        self.state = state
        self.cause = cause
    }
}
