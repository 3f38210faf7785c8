import Glibc
import Synchronization

/// What must be gone when the bench ends, however it ends: its children and its folder.
enum Cleanup {
    private struct State {
        var children: Set<pid_t> = []
        var folder: String?
        var isInterrupted = false
    }

    private static let state = Mutex(State())

    static func started(_ child: pid_t) { state.withLock { _ = $0.children.insert(child) } }
    static func ended(_ child: pid_t) { state.withLock { _ = $0.children.remove(child) } }
    static func owns(_ folder: String) { state.withLock { $0.folder = folder } }

    /// Kills the children and removes the folder.
    static func run() {
        let ended = state.withLock { state in
            let before = state
            state.children = []
            state.folder = nil
            return before
        }
        for child in ended.children {
            kill(child, SIGKILL)
            waitpid(child, nil, 0)
        }
        if let folder = ended.folder { remove(folder) }
    }

    /// Waits for the end when a signal asked for it: what fails meanwhile fails because the children are gone.
    static func waitIfInterrupted() {
        while state.withLock({ $0.isInterrupted }) { usleep(100_000) }
    }

    private static func interrupt() { state.withLock { $0.isInterrupted = true } }

    /// Removes a file, or a folder and all that is in it; links are removed, not followed.
    static func remove(_ path: String) {
        if unlink(path) == 0 || errno == ENOENT { return }
        guard let folder = opendir(path) else { return }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name != "." && name != ".." { names.append(name) }
        }
        closedir(folder)
        for name in names { remove("\(path)/\(name)") }
        rmdir(path)
    }

    /// Lets Ctrl-C and SIGTERM clean up too. To be called before any other thread is there: all of them inherit the mask.
    static func watchSignals() {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGINT)
        sigaddset(&signals, SIGTERM)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { _ in
                var signals = sigset_t()
                sigemptyset(&signals)
                sigaddset(&signals, SIGINT)
                sigaddset(&signals, SIGTERM)
                var signal: Int32 = 0
                sigwait(&signals, &signal)
                Cleanup.interrupt()
                Cleanup.run()
                _exit(128 + signal)
            }, nil)
        pthread_detach(thread)
    }
}
