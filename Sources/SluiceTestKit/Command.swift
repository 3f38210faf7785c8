public import Foundation
import Glibc
import SluiceCore

/// Other programs, whose words come by way of a file: a pipe may be held open by whatever else is started meanwhile.
public enum Command {
    /// Runs a program to its end; returns what it printed.
    public static func output(_ arguments: [String]) throws -> Data {
        let child = try Running(arguments)
        defer { unlink(child.path) }
        var status: Int32 = 0
        waitpid(child.pid, &status, 0)
        guard status == 0 else { throw SluiceError(.init("command"), .fatal, "\(arguments.prefix(4)) ended with status \(status)") }
        return child.output
    }

    /// A program on its way.
    public struct Running: Sendable {
        let pid: pid_t
        let path: String

        public init(_ arguments: [String]) throws {
            path = FileManager.default.temporaryDirectory.appending(path: "sluice-said-\(UUID().uuidString)").path
            let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            guard file >= 0 else { throw SluiceError(.init("command"), .fatal, "cannot make \(path)") }
            defer { close(file) }
            pid = try Spawn.start(["/usr/bin/env"] + arguments, output: file)
        }

        /// What it has printed so far.
        public var output: Data { FileManager.default.contents(atPath: path) ?? Data() }

        /// Ends it.
        public func stop() {
            kill(pid, SIGKILL)
            waitpid(pid, nil, 0)
            unlink(path)
        }
    }
}
