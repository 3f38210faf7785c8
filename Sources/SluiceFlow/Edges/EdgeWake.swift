import SluiceCore

/// Who goes on after a change of an edge. Carried out when the lock is released.
struct EdgeWake: Sendable {
    var receiver: (waiter: Waiter<Transit?>, result: Result<Transit?, any Error>)?
    var senders: [Waiter<Void>] = []
    /// What the senders are told in place of success.
    var refusal: (any Error)?
    /// The edge's thread has something to do and is not at it.
    var startsThread = false

    /// Resumes all tasks.
    func resume() {
        if let receiver { receiver.waiter.resume(with: receiver.result) }
        for sender in senders {
            if let refusal { sender.resume(throwing: refusal) } else { sender.resume() }
        }
    }
}
