public import SluiceCore
import Synchronization

/// The blocks that may still be orphaned, for a reading that leaves no trace: they are gone with it.
public final class MemoryRecentBlocks: RecentBlocks {
    private struct State {
        var links: [Hash32: BlockLink] = [:]
        var finalized: UInt64?
    }

    private let state = Mutex(State())

    public init() {}

    public func ancestors(of position: Position) async throws -> [BlockRef] {
        state.withLock { state in
            var found: [BlockRef] = []
            var hash = position.hash
            while let link = state.links[hash] {
                found.append(link.ref)
                hash = link.parentHash
            }
            return found.reversed()
        }
    }

    public func remember(_ links: [BlockLink]) async throws {
        state.withLock { state in for link in links { state.links[link.ref.hash] = link } }
    }

    public func finalized() async throws -> UInt64? { state.withLock { $0.finalized } }

    public func finalize(through number: UInt64) async throws {
        state.withLock { state in
            state.finalized = max(state.finalized ?? 0, number)
            state.links = state.links.filter { $0.value.ref.number >= number }
        }
    }
}
