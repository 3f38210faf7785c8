import Glibc
import SluiceFlow
import Synchronization

/// Turns SIGINT and SIGTERM into a wish to stop; the second one ends the process at once.
final class StopWatcher: Sendable {
    private let caught = Mutex<Int32?>(nil)

    /// The signal that came; nil when none did.
    var signal: Int32? { caught.withLock { $0 } }

    /// The exit code for a run that was stopped before its end.
    var exitCode: ExitCode { signal == SIGTERM ? .terminated : signal == SIGINT ? .interrupted : .success }

    /// Begins to watch. Which thread a signal reaches is the kernel's choice, so a handler passes it on to the thread that waits.
    func watch(_ stop: StopSignal) {
        guard stopPipe.read >= 0 else { return }
        for signal in [SIGINT, SIGTERM] {
            Glibc.signal(signal) { number in
                var byte = UInt8(truncatingIfNeeded: number)
                _ = write(stopPipe.write, &byte, 1)
            }
        }
        let box = Unmanaged.passRetained(Watch(watcher: self, stop: stop))
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
    let watcher: StopWatcher
    let stop: StopSignal

    init(watcher: StopWatcher, stop: StopSignal) {
        self.watcher = watcher
        self.stop = stop
    }
}

private func watchSignals(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    let watch = Unmanaged<Watch>.fromOpaque(context).takeRetainedValue()
    while true {
        var byte: UInt8 = 0
        let count = read(stopPipe.read, &byte, 1)
        if count < 0, errno == EINTR { continue }
        guard count == 1 else { return nil }
        let signal = Int32(byte)
        if !watch.watcher.took(signal) { _exit(128 + signal) }
        watch.stop.raise()
    }
}

/// From the handler to the thread that waits; made before a handler is there.
private let stopPipe: (read: Int32, write: Int32) = {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { return (-1, -1) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return (ends[0], ends[1])
}()
