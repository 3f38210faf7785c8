/// What a component does.
public struct ComponentKind: NumberedName {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let names = ["oracle", "pipe", "aggregator", "sink"]

    /// Reads a network or a service.
    public static let oracle = Self(rawValue: 1)
    /// Transforms what another component made.
    public static let pipe = Self(rawValue: 2)
    /// Combines what several components made, each at its own pace.
    public static let aggregator = Self(rawValue: 3)
    /// Loads into a store.
    public static let sink = Self(rawValue: 4)
}
