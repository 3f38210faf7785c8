/// A pipeline as the store keeps it: what it was defined as, and what it was doing.
public struct PipelineRecord: Sendable, Hashable {
    /// What a pipeline is doing.
    public enum State: String, Sendable, CaseIterable {
        case backfill, live, paused, stopped, error
    }

    /// Its identity: the PID with a UUID behind it.
    public let puuid: String
    /// The PID alone, which is the same for pipelines that may be the same.
    public let pid: [UInt8]
    /// What people call it; no two pipelines have the same.
    public var name: String
    /// The definition as JSON.
    public var definition: String
    public var state: State
    /// Why, in the state `error`.
    public var error: String?
    /// Of the configuration that the pipeline works by.
    public var fingerprint: String
    /// Microseconds since 1970; set by the store.
    public var created: Int64
    /// Microseconds since 1970 of the last change; set by the store.
    public var updated: Int64

    public init(
        puuid: String, pid: [UInt8], name: String, definition: String, state: State, error: String? = nil, fingerprint: String,
        created: Int64 = 0, updated: Int64 = 0
    ) {
        self.puuid = puuid
        self.pid = pid
        self.name = name
        self.definition = definition
        self.state = state
        self.error = error
        self.fingerprint = fingerprint
        self.created = created
        self.updated = updated
    }
}
