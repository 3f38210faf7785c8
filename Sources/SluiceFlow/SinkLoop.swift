import SluiceCore
import Synchronization

/// Takes what comes along one edge into one sink, on the sink's thread where it has one, and tells how far it is durable.
struct SinkLoop: Sendable {
    let sink: OpenedSink
    let edge: GraphEdge
    let progress: PipelineProgress
    /// At the tip rows are made durable as soon as nothing more waits; in a backfill they wait for company.
    let flushesWhenIdle: Bool
    let journal: any StreamJournal
    let time: TimeSource
    /// How far finality moves before that is written down again. A number that is too low makes a reorganisation after a restart cost
    /// more, not wrong.
    private let finalityStep: UInt64 = 8

    func run() async throws {
        try await withTaskExecutorPreference(sink.executor) { try await work() }
    }

    private func work() async throws {
        defer { edge.end() }
        let (graphEdge, edge) = (edge, edge.edge)
        var finality = Finality()
        var gathering = Gathering(capacity: edge.capacity)
        while true {
            let next: Transit?
            if let ready = edge.receiveNow() {
                next = ready
            } else {
                if flushesWhenIdle {
                    if edge.isIdle { note(try await sink.inTurn { try await sink.flush() }) }
                } else if let pause = gathering.pause(now: time.now()) {
                    try? await time.sleep(pause)
                    continue
                }
                next = try await edge.receive()
            }
            guard let next else {
                note(try await sink.inTurn { try await sink.flush() })
                return try await keep(&finality, step: 1)
            }
            gathering.took(1, weight: EdgeItem.weight(of: next))
            do {
                if !sink.turn.enterNow() { await sink.turn.enter() }
                defer { sink.turn.leave() }
                try await take(next)
                graphEdge.took(next)
            }
            if case .finalized(let number) = next {
                finality.told = max(finality.told, number)
                try await keep(&finality, step: finalityStep)
            }
        }
    }

    private struct Finality {
        var told: UInt64 = 0
        var kept: UInt64 = 0
    }

    /// Writes down what is final. Every rollback that came before is durable by now, so that it speaks of what the sink holds.
    private func keep(_ finality: inout Finality, step: UInt64) async throws {
        guard finality.told >= finality.kept + step else { return }
        finality.kept = finality.told
        try await journal.setFinalized(finality.told, of: sink.id, sink: sink.name)
    }

    private func take(_ transit: Transit) async throws {
        switch transit {
        case .batch(let batch):
            guard sink.holdsBack else { return note(try await sink.write(batch)) }
            for batch in sink.held.withLock({ $0.take(batch) }) { note(try await sink.write(batch)) }
        case .finalized(let number):
            try await sink.finalized(number)
            guard sink.holdsBack else { return }
            for batch in sink.held.withLock({ $0.finalize(through: number) }) { note(try await sink.write(batch)) }
        case .rollback(let position):
            guard try await sink.rollback(to: position) else { return }
            // A sink that holds back has not come as far as that.
            progress.update { state in
                if state.durable[sink.name].map({ $0.number > position.number }) ?? false { state.durable[sink.name] = position }
            }
        }
    }

    private func note(_ position: Position?) {
        guard let position else { return }
        progress.update { $0.durable[sink.name] = position }
    }
}
