import Glibc
import SluiceCore
import Synchronization

/// A program that a test has started: its output goes into files, and it is ended by its process id alone.
final class ChildProgram: Sendable {
    /// How a program ended.
    enum Ending: Equatable, CustomStringConvertible {
        case exited(Int32)
        case killed(Int32)

        var description: String {
            switch self {
            case .exited(let code): "exit code \(code)"
            case .killed(let signal): "signal \(signal)"
            }
        }
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    let pid: pid_t
    private let outputPath: String
    private let errorPath: String
    private let input: Int32
    private let ending = Mutex<Ending?>(nil)

    /// - Parameter arguments: the program's path first.
    init(_ arguments: [String], in folder: String, log: String, environment extra: [String: String] = [:]) throws {
        outputPath = "\(folder)/\(log).out"
        errorPath = "\(folder)/\(log).err"
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // Standard input is a pipe that stays open as long as this object lives, for programs that wait for its end.
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw Failure(description: "pipe: \(String(cString: strerror(errno)))") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
        posix_spawn_file_actions_addopen(&actions, 1, outputPath, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        posix_spawn_file_actions_addopen(&actions, 2, errorPath, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // What the test program blocks or ignores is not the child's business.
        var none = sigset_t()
        var usual = sigset_t()
        sigemptyset(&none)
        sigemptyset(&usual)
        for signal in [SIGINT, SIGTERM, SIGPIPE] { sigaddset(&usual, signal) }
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &usual)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var variables = Surroundings.environment
        variables["SWIFT_BACKTRACE"] = "enable=no"
        for (name, value) in extra { variables[name] = value }
        // `env` changes the folder and then becomes the program: the process id stays.
        let arguments = ["/usr/bin/env", "-C", folder] + arguments
        var argv = arguments.map { strdup($0) } + [nil]
        var envp = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        var child: pid_t = 0
        let code = posix_spawn(&child, arguments[0], &actions, &attributes, &argv, &envp)
        close(ends[0])
        input = ends[1]
        pid = child
        guard code == 0 else { throw Failure(description: "starting \(arguments[0]): \(String(cString: strerror(code)))") }
    }

    deinit {
        close(input)
        if ending.withLock({ $0 }) == nil {
            Glibc.kill(pid, SIGKILL)
            waitpid(pid, nil, 0)
        }
    }

    var output: String { Surroundings.text(of: outputPath) }
    var errors: String { Surroundings.text(of: errorPath) }

    /// Sends a signal, unless the program has ended.
    func send(_ signal: Int32) {
        ending.withLock { if $0 == nil { Glibc.kill(pid, signal) } }
    }

    /// How it has ended; nil while it runs.
    func poll() -> Ending? {
        ending.withLock { ending in
            if let ending { return ending }
            var status: Int32 = 0
            guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
            ending = status & 0x7F == 0 ? .exited(status >> 8 & 0xFF) : .killed(status & 0x7F)
            return ending
        }
    }

    /// Waits for its end; kills it and throws when that takes longer than `limit`.
    func wait(limit: Duration = .seconds(120)) async throws -> Ending {
        let start = ContinuousClock.now
        while true {
            if let ending = poll() { return ending }
            guard ContinuousClock.now - start < limit else {
                send(SIGKILL)
                throw Failure(description: "process \(pid) did not end within \(limit); it said: \(errors.suffix(2000))")
            }
            try await Task.sleep(for: .milliseconds(4))
        }
    }

    /// Waits until a line of its output begins with `prefix`, and returns that line.
    func line(beginning prefix: String) async throws -> String {
        try await Surroundings.eventually("\(prefix) from process \(pid)") {
            let lines = self.output.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            if let line = lines.first(where: { $0.hasPrefix(prefix) }) { return String(line) }
            if let ending = self.poll() { throw Failure(description: "process \(self.pid): \(ending); \(self.errors)") }
            return nil
        }
    }
}
