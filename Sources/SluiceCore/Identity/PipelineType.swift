/// How a pipeline reads, as identifiers say it.
public struct PipelineType: NumberedName {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let names = ["backtest", "live", "mocktest"]

    /// From one height to another, once.
    public static let backtest = Self(rawValue: 1)
    /// What is new, as it appears; what came before first, where that is wanted.
    public static let live = Self(rawValue: 2)
    /// Like a live one, fed with made-up data.
    public static let mocktest = Self(rawValue: 3)
}
