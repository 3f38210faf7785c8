/// Which invariant a session of the risk engine holds a pipeline against.
public struct InvariantType: NumberedName {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let names = ["balance_enforcement", "contract_event", "withdrawal_enforcement", "fault_detector"]

    /// A balance stays within its bounds.
    public static let balanceEnforcement = Self(rawValue: 1)
    /// A contract does not log certain events.
    public static let contractEvent = Self(rawValue: 2)
    /// What is withdrawn on the layer 1 was sent on the layer 2.
    public static let withdrawalEnforcement = Self(rawValue: 3)
    /// The outputs proposed on the layer 1 are those of the layer 2.
    public static let faultDetector = Self(rawValue: 4)
}
