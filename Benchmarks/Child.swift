import Glibc
import SluiceCore

/// What a process cost, all of it from start to end.
struct Usage: Sendable {
    /// User and system seconds of the process and of the children that it waited for.
    var cpu: Double
    /// Seconds on the wall.
    var wall: Double
    /// The most memory at any moment, in MB of a million bytes.
    var peak: Double

    /// CPU seconds and peak memory of this process so far.
    static func own() -> (cpu: Double, peak: Double) {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return (cpu(usage), Double(usage.ru_maxrss) * 1_024 / 1e6)
    }

    static func cpu(_ usage: rusage) -> Double {
        Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6
    }
}

/// A process that the bench started.
///
/// Its peak memory is never below what this process has at the start of it (the kernel counts from the fork on), so whatever needs
/// memory happens in a child.
struct Child {
    let pid: pid_t
    private let started = ContinuousClock.now

    /// Starts a program. What it says goes to `errors`; its standard output to `output`, or to the same file.
    init(_ arguments: [String], output: Int32? = nil, errors: String) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        posix_spawn_file_actions_adddup2(&actions, output ?? STDERR_FILENO, STDOUT_FILENO)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // The bench blocks signals for its own watcher; a child shall not inherit that.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var words = arguments.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var pid: pid_t = 0
        let failure = posix_spawn(&pid, arguments[0], &actions, &attributes, &words, environ)
        guard failure == 0 else {
            throw BenchError("starting \(arguments[0]): \(String(cString: strerror(failure)))")
        }
        self.pid = pid
        Cleanup.started(pid)
    }

    /// Waits for the end; kills it when that takes longer than `limit`. Throws when it fails.
    func wait(limit: Duration = .seconds(900), errors: String, ends signal: Int32? = nil) throws -> Usage {
        var status: Int32 = 0
        var usage = rusage()
        var late = false
        while true {
            let got = wait4(pid, &status, WNOHANG, &usage)
            if got == pid { break }
            guard got == 0 || errno == EINTR else { throw BenchError("waiting for a child: \(String(cString: strerror(errno)))") }
            if !late, ContinuousClock.now - started > limit {
                late = true
                kill(pid, SIGKILL)
            }
            usleep(2_000)
        }
        let wall = (ContinuousClock.now - started).seconds
        Cleanup.ended(pid)
        let isSignalled = status & 0x7f != 0
        let code = isSignalled ? 128 + status & 0x7f : status >> 8 & 0xff
        if late { throw BenchError("a run took longer than \(limit): killed\n\(Text.tail(of: errors))") }
        guard code == 0 || signal.map({ code == 128 + $0 }) ?? false else {
            throw BenchError("a run ended with code \(code)\n\(Text.tail(of: errors))")
        }
        return Usage(cpu: Usage.cpu(usage), wall: wall, peak: Double(usage.ru_maxrss) * 1_024 / 1e6)
    }
}

/// The bench itself could not go on.
struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
