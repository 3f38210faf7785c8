public import SluiceCore

extension SluiceError.Code {
    /// A synchronization policy makes no sense for the streams, or an aggregator's tables lack what they need.
    public static let aggregationPolicy = SluiceError.Code("aggregation_policy")
    /// The records of bundles that an aggregator is to go on from are not its own.
    public static let bundleRecords = SluiceError.Code("bundle_records")
    /// A stream sent a block that does not follow the one before, or went back to one that it never sent.
    public static let streamBroken = SluiceError.Code("stream_broken")
    /// A stream let the others wait for too long.
    public static let streamMissing = SluiceError.Code("stream_missing")
    /// A stream orphaned a block that is in a final bundle.
    public static let bundleBeyondFinality = SluiceError.Code("bundle_beyond_finality")
}

extension SluiceError {
    static func streamBroken(_ stream: Int, at number: UInt64, expected: UInt64?) -> SluiceError {
        SluiceError(
            .streamBroken, .fatal,
            "synchronizing streams: stream \(stream) came with block \(number), which is not connected with what it sent before"
                + (expected.map { " (block \($0) was next)" } ?? ""))
    }

    static func streamMissing(_ policy: SynchronizationPolicy, _ patience: Duration) -> SluiceError {
        SluiceError(
            .streamMissing, .pause, "synchronizing streams: some blocks have waited \(patience) for those of other streams",
            mend: "see why a stream is late, or choose another timeout than fail")
    }

    static func bundleBeyondFinality(_ stream: Int, _ position: Position, bundle: BlockRef) -> SluiceError {
        SluiceError(
            .bundleBeyondFinality, .pause,
            "synchronizing streams: stream \(stream) goes back to block \(position), but bundle \(bundle.number) is final and rests on a later one",
            mend: "make sure that the stream comes from the right chain; if it does, run the aggregator anew from the start")
    }
}
