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

    /// Begins to watch. A signal that the process was started to ignore (as a shell does for its background jobs) stays ignored.
    ///
    /// By a handler and a pipe: the main thread of an async program waits with all signals let through, so that blocking them for
    /// `sigwait` would leave one thread on which they kill the process.
    func watch(_ stop: StopSignal) {
        var ends: [Int32] = [0, 0]
        // Without a pipe the signals keep their own effect, which is to end the process.
        guard pipe(&ends) == 0 else { return }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        signalPipe = ends[1]
        let reading = ends[0]
        Blocking.thread {
            while true {
                var number: UInt8 = 0
                let count = read(reading, &number, 1)
                if count < 0, errno == EINTR { continue }
                guard count == 1 else { return }
                if !self.took(Int32(number)) { _exit(128 + Int32(number)) }
                stop.raise()
            }
        }
        for number in [SIGINT, SIGTERM] {
            var before = sigaction()
            sigaction(number, nil, &before)
            let isIgnored = unsafeBitCast(before.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
            if !isIgnored { Glibc.signal(number, noteSignal) }
        }
    }

    fileprivate func took(_ signal: Int32) -> Bool {
        caught.withLock { caught in
            let isFirst = caught == nil
            caught = signal
            return isFirst
        }
    }
}

// SAFETY: written once, before the handler that reads it is installed.
nonisolated(unsafe) private var signalPipe: Int32 = -1

/// The handler: only a write, which is allowed in one.
private let noteSignal: @convention(c) (Int32) -> Void = { number in
    let before = errno
    var byte = UInt8(truncatingIfNeeded: number)
    _ = write(signalPipe, &byte, 1)
    errno = before
}
