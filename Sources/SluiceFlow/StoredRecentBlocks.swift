public import SluiceCore
public import SluiceStore

/// The blocks of one pipeline that may still be orphaned, in the state store.
public struct StoredRecentBlocks: RecentBlocks {
    private let store: StateStore
    private let stream: StreamID

    public init(store: StateStore, stream: StreamID) {
        self.store = store
        self.stream = stream
    }

    public func ancestors(of position: Position) async throws -> [BlockRef] {
        try await store.ancestors(of: position, stream: stream)
    }

    public func remember(_ links: [BlockLink]) async throws { try await store.remember(links, of: stream) }

    public func forget(below number: UInt64) async throws { try await store.forgetBlocks(of: stream, below: number) }
}
