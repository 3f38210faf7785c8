public import SluiceStore

/// Where the manager keeps its pipelines, across restarts.
public protocol PipelineShelf: Sendable {
    func save(_ record: PipelineRecord) async throws
    func setState(_ state: PipelineRecord.State, error: String?, of puuid: String) async throws
    /// Puts one in the place of another, in one step.
    func replace(old puuid: String, with record: PipelineRecord) async throws
    func remove(_ puuid: String) async throws
    func all() async throws -> [PipelineRecord]
}

/// The shelf in the state store.
public struct StoredPipelines: PipelineShelf {
    private let store: StateStore

    public init(store: StateStore) { self.store = store }

    public func save(_ record: PipelineRecord) async throws { try await store.save(record) }
    public func setState(_ state: PipelineRecord.State, error: String?, of puuid: String) async throws {
        try await store.setState(state, error: error, of: puuid)
    }
    public func replace(old puuid: String, with record: PipelineRecord) async throws { try await store.replace(old: puuid, with: record) }
    public func remove(_ puuid: String) async throws { _ = try await store.removePipeline(puuid) }
    public func all() async throws -> [PipelineRecord] { try await store.pipelines() }
}
