public import SluiceCore

/// Two different blocks at a height that was final: the chain broke its promise, or another chain answers.
public struct ReorgBeyondFinality: Hashable, Sendable, CustomStringConvertible {
    /// The height at which the two differ.
    public let number: UInt64
    /// What was followed.
    public let ours: Hash32
    /// What the upstream says now.
    public let theirs: Hash32
    /// Everything up to this height was taken as final.
    public let finalized: UInt64

    public init(number: UInt64, ours: Hash32, theirs: Hash32, finalized: UInt64) {
        self.number = number
        self.ours = ours
        self.theirs = theirs
        self.finalized = finalized
    }

    public var description: String {
        "block \(number) was \(ours) and is \(theirs) now, though everything up to block \(finalized) was final"
    }

    /// The error that stops a pipeline: only the operator can decide which chain is right.
    public var error: SluiceError {
        SluiceError(
            .reorgBeyondFinality, .pause, "following the chain: \(description)",
            mend: "make sure that the endpoint serves the right chain; if the reorg is real, roll the pipeline back below block \(number)")
    }
}

extension SluiceError.Code {
    /// The chain changed at a height that was final.
    public static let reorgBeyondFinality = Self("reorg_beyond_finality")
}
