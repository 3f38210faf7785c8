import Glibc
import SluiceCommand
import SluiceFlow
import Synchronization

/// Turns SIGINT and SIGTERM into a wish to stop; the second one ends the process at once.
final class StopWatcher: Sendable {
    private let caught = Mutex<Int32?>(nil)

    /// The signal that came; nil when none did.
    var signal: Int32? { caught.withLock { $0 } }

    /// The exit code for a run that was stopped before its end.
    var exitCode: ExitCode { signal == SIGTERM ? .terminated : signal == SIGINT ? .interrupted : .success }

    /// Begins to watch. Must be called before threads are started that would take the signals themselves.
    func watch(_ stop: StopSignal) {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGINT)
        sigaddset(&set, SIGTERM)
        pthread_sigmask(SIG_BLOCK, &set, nil)
        let box = Unmanaged.passRetained(Watch(set: set, watcher: self, stop: stop))
        var thread = pthread_t()
        pthread_create(&thread, nil, watchSignals, box.toOpaque())
        pthread_detach(thread)
    }

    fileprivate func took(_ signal: Int32) -> Bool {
        caught.withLock { caught in
            let isFirst = caught == nil
            caught = signal
            return isFirst
        }
    }
}

private final class Watch: Sendable {
    let set: sigset_t
    let watcher: StopWatcher
    let stop: StopSignal

    init(set: sigset_t, watcher: StopWatcher, stop: StopSignal) {
        self.set = set
        self.watcher = watcher
        self.stop = stop
    }
}

private func watchSignals(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    let watch = Unmanaged<Watch>.fromOpaque(context).takeRetainedValue()
    while true {
        var signal: Int32 = 0
        var set = watch.set
        guard sigwait(&set, &signal) == 0 else { continue }
        if !watch.watcher.took(signal) { _exit(128 + signal) }
        watch.stop.raise()
    }
}
