import SluiceCore
import SluiceTelemetry

// What readings of history and of the head do alike when something goes wrong.

extension Hub {
    /// Whether an error is one that asking again may mend.
    static func passes(_ error: any Error) -> Bool {
        (error as? SluiceError).map { [.retry, .endpoint, .split].contains($0.class) } ?? false
    }
}

extension Hub.Surroundings {
    func edge(into sink: OpenedSink) -> Edge {
        Edge(capacity: sink.appetite ?? edgeCapacity, policy: sink.policy) { [log] trouble in
            log.warning("an edge cannot spill any more: it holds its sender up instead", ["sink": "\(sink.name)", "error": "\(trouble)"])
        }
    }

    /// Waits until the upstream is asked again, and lets everybody who waits for it know why.
    func wait(_ pause: Duration, after failure: any Error, of branches: [Branch]) async {
        log.error("the upstream fails; trying again", ["error": "\(failure)", "in": "\(pause)"])
        for branch in branches { branch.progress.update { $0.trouble = "\(failure)" } }
        try? await time.sleep(pause)
        for branch in branches { branch.progress.update { $0.trouble = nil } }
    }
}

extension [Branch] {
    /// The last block that any of them wants; nil when one of them wants whatever comes.
    var lastWanted: UInt64? {
        let untils = map(\.until)
        return untils.contains(nil) ? nil : untils.compactMap { $0 }.max()
    }
}

extension Branch {
    /// Ends it with an error, unless that only says that everything is to end.
    func end(failing error: any Error) { end(Task.isCancelled ? .left : .failed(error)) }
}
