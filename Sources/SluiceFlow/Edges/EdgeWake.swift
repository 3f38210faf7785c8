import SluiceCore

/// Who goes on after a change of an edge. Carried out when the lock is released.
struct EdgeWake: Sendable {
    var receiver: (continuation: CheckedContinuation<Transit?, any Error>, result: Result<Transit?, any Error>)?
    var senders: [CheckedContinuation<Void, any Error>] = []
    /// What the senders are told in place of success.
    var refusal: (any Error)?
    /// The edge's thread has something to do and is not at it.
    var startsThread = false

    /// Resumes all tasks.
    func resume() {
        if let receiver { receiver.continuation.resume(with: receiver.result) }
        for sender in senders {
            if let refusal { sender.resume(throwing: refusal) } else { sender.resume() }
        }
    }
}
