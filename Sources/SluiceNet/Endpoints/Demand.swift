/// What a request needs from an endpoint.
public struct Demand: Sendable {
    /// Calls that are wished for in one request; the lease says how many may go.
    public var calls: Int
    /// What they cost in the provider's units, all together.
    public var units: Int
    /// Only endpoints that have seen this block, or of which nothing is known yet.
    public var minimumHeight: UInt64?
    /// Endpoints that must not be asked (they answered wrongly before).
    public var avoiding: Set<EndpointID>
    /// Ask this one only, verified or not: for the check of the chain itself.
    public var only: EndpointID?

    public init(calls: Int = 1, units: Int = 0, minimumHeight: UInt64? = nil, avoiding: Set<EndpointID> = [], only: EndpointID? = nil) {
        self.calls = max(1, calls)
        self.units = units
        self.minimumHeight = minimumHeight
        self.avoiding = avoiding
        self.only = only
    }
}
