/// What a pipeline keeps under one key in the shared state: for an addressable register, the addresses it is asked about.
///
/// Two keys are the same when their bytes are: a store compares bytes, and so must everything in front of it.
public struct StateKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The pipeline, as its PUUID prints, or a name that stands for all of them.
    public let pipeline: String
    /// The register that reads it, such as `account_balance`.
    public let prefix: String
    /// What is kept, such as `address`.
    public let id: String

    public init(pipeline: String, prefix: String, id: String) {
        self.pipeline = pipeline
        self.prefix = prefix
        self.id = id
    }

    /// As people read it: `puuid-prefix-id`.
    public var description: String { "\(pipeline)-\(prefix)-\(id)" }

    public static func == (a: Self, b: Self) -> Bool {
        ByteText(a.pipeline) == ByteText(b.pipeline) && ByteText(a.prefix) == ByteText(b.prefix) && ByteText(a.id) == ByteText(b.id)
    }

    /// In the order of the bytes of their parts.
    public static func < (a: Self, b: Self) -> Bool {
        (ByteText(a.pipeline), ByteText(a.prefix), ByteText(a.id)) < (ByteText(b.pipeline), ByteText(b.prefix), ByteText(b.id))
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(ByteText(pipeline))
        hasher.combine(ByteText(prefix))
        hasher.combine(ByteText(id))
    }
}
