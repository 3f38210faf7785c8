import SluiceCore
import SluiceStore

/// Where a sink without transactions keeps its segments: in the state store, under the sink's name.
struct StoredSegments: SegmentStore {
    let store: StateStore
    let sink: String

    func load(_ stream: StreamID) throws -> [Segment] { try store.blocking { try $0.segments(of: stream, sink: sink) } }

    func save(_ segments: [Segment], of stream: StreamID) throws {
        try store.blocking { try $0.setSegments(segments, of: stream, sink: sink) }
    }
}
