import SluiceCore
import Synchronization

/// What stands between the oracle and the sinks: the pipes of all registers that the pipeline asks for. It runs in the oracle's task,
/// one batch at a time, and sends the result into the edge of every sink.
final class PipeStage: Egress {
    private struct State: Sendable {
        var pipes: [any Pipe]
        var names: Set<String> = []
    }

    private let state: Mutex<State>
    private let edges: [Edge]
    private let progress: PipelineProgress

    init(registers: [Register], edges: [Edge], progress: PipelineProgress) {
        state = Mutex(State(pipes: registers.map { $0.makePipe() }))
        self.edges = edges
        self.progress = progress
    }

    func send(_ transit: Transit) async throws {
        guard case .batch(let batch) = transit else {
            if case .rollback(let position) = transit { progress.update { $0.emitted = position } }
            for edge in edges { try await edge.send(transit) }
            return
        }
        let out = try transform(batch)
        for edge in edges { try await edge.send(.batch(out)) }
        progress.update { state in
            state.emitted = batch.span.last
            state.emittedTimestamp = batch.span.lastTimestamp
            state.blocks += UInt64(batch.span.count)
            for table in out.tables { state.rows[table.schema.name, default: 0] += table.rowCount }
        }
    }

    private func transform(_ batch: Batch) throws -> Batch {
        try state.withLock { state in
            var tables: [Table] = []
            var report = PipeReport()
            for index in state.pipes.indices {
                // Two registers may make the same table (`geth_block` and `logs`): it is loaded once.
                for table in try state.pipes[index].transform(batch, report: &report) where !tables.contains(where: { $0.schema.name == table.schema.name })
                {
                    tables.append(table)
                }
            }
            return Batch(chainID: batch.chainID, span: batch.span, tables: tables)
        }
    }
}
