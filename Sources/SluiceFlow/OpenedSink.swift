import SluiceCore
import Synchronization

/// A sink that takes part in a run, with what it holds back.
final class OpenedSink: Sendable {
    let name: String
    let stream: any SinkStream
    let holdsBack: Bool
    /// Lives longer than one phase: blocks that wait for finality in one are released in the next.
    let held = Mutex(HoldBack())

    init(name: String, stream: any SinkStream, holdsBack: Bool) {
        self.name = name
        self.stream = stream
        self.holdsBack = holdsBack
    }
}
