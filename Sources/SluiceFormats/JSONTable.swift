public import SluiceCore

/// The rows that one plan took from one reply.
public struct JSONTable: Sendable {
    public let plan: JSONPlan
    /// In the order of the plan's columns.
    public let columns: [Column]
    public let rowCount: Int

    /// The column of a name; it must be one of the plan's.
    public func column(_ name: String) -> Column { columns[plan.index(of: name)] }
}

/// What one call of a batch was answered with.
public enum JSONAnswer: Sendable {
    /// One table a plan of the call, in that order.
    case tables([JSONTable])
    /// The result is `null`: the upstream does not have it (yet).
    case null
    /// The result is a single value: its JSON text.
    case value(String)
    /// The upstream's error object.
    case error(code: Int, message: String)
    /// The reply does not speak of this call.
    case unanswered
}

/// One call of a batch: which plans its result is read with.
public struct JSONCall: Sendable {
    /// What a result must be when it is not null.
    public enum Shape: Sendable {
        case object, array, either
    }

    /// The first plan takes the result (an object, or an array of them), the others what is inside. Empty: the result is one value.
    public let plans: [JSONPlan]
    public let shape: Shape

    /// With `shape` object the first plan has exactly one row when there is a result.
    public init(_ plans: [JSONPlan], shape: Shape = .either) {
        self.plans = plans
        self.shape = shape
    }
}
