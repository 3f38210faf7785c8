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

    public func finalized() async throws -> UInt64? { try await store.meta(key).flatMap { UInt64($0) } }

    public func finalize(through number: UInt64) async throws {
        // First the note, then the deed: what was forgotten must be known to be final.
        if try await finalized().map({ $0 < number }) ?? true { try await store.setMeta(key, String(number)) }
        try await store.forgetBlocks(of: stream, below: number)
    }

    private var key: String { "finalized:\(stream)" }
}
