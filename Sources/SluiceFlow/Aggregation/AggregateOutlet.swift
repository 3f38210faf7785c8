import SluiceCore
import Synchronization

/// Hands what an aggregator makes to all sinks of its pipeline, to each of them what it lacks.
struct AggregateOutlet: Egress {
    let ways: [Way]
    let progress: PipelineProgress

    func send(_ transit: Transit) async throws {
        if case .batch(let batch) = transit {
            progress.update { state in
                state.emitted = batch.span.last
                state.emittedTimestamp = batch.span.lastTimestamp
                state.blocks += UInt64(batch.span.count)
                for table in batch.tables { state.rows[table.schema.name, default: 0] += table.rowCount }
            }
        }
        if case .rollback(let position) = transit {
            progress.update { state in
                state.reorganisations += 1
                let depth = Int(clamping: (state.emitted?.number ?? position.number) &- position.number)
                state.deepestReorganisation = max(state.deepestReorganisation, depth)
                state.emitted = position.number > 0 ? position : nil
            }
        }
        for way in ways { try await way.send(transit) }
    }

    /// Nothing more comes.
    func finish() { for way in ways { way.edge.finish() } }
    func fail(_ error: any Error) { for way in ways { way.edge.fail(error) } }

    /// The way into one sink.
    final class Way: Sendable {
        let sink: OpenedSink
        let graphEdge: GraphEdge
        var edge: Edge { graphEdge.edge }
        private let ahead: Mutex<AggregateResume.Ahead?>

        /// - Parameter ahead: what the sink holds of what will be made once more.
        init(sink: OpenedSink, edge: Edge, ahead: AggregateResume.Ahead?) {
            self.sink = sink
            graphEdge = GraphEdge(sink: sink, start: nil, segment: nil, edge: edge)
            self.ahead = Mutex(ahead)
        }

        func send(_ transit: Transit) async throws {
            if let ahead = ahead.withLock({ $0 }) {
                switch transit {
                case .batch(let batch):
                    let bundle = batch.span.last
                    if bundle.number > ahead.through.number {
                        self.ahead.withLock { $0 = nil }
                    } else if ahead.known[bundle.number].map({ $0 == bundle.hash }) ?? true {
                        return
                    } else {
                        // What was made in another order than before takes its place.
                        self.ahead.withLock { $0 = nil }
                        try await edge.send(.rollback(to: Position(number: bundle.number - 1, hash: batch.span.parentHash)))
                    }
                case .rollback: self.ahead.withLock { $0 = nil }
                case .finalized: break
                }
            }
            try await edge.send(transit)
        }
    }
}
