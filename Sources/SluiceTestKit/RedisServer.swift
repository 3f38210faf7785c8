import Glibc
import SluiceCore
import Synchronization

/// A Redis server of a test's own: a free port of this machine, a folder of the caller's, and every change on the disk before it is
/// acknowledged. It ends with `stop`, `crash`, the object, or the program.
public final class RedisServer: Sendable {
    /// Where the program is; nil where it is not installed.
    public static let program: String? = {
        let folders = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/usr/local/bin"
        return folders.split(separator: ":").map { "\($0)/redis-server" }.first { access($0, X_OK) == 0 }
    }()

    public let port: Int
    private let arguments: [String]
    private let child = Mutex<Child?>(nil)

    private struct Child {
        let server: pid_t
        /// Kills the server when this program ends without having done so: a shell that waits for the end of its input.
        let guardian: pid_t
        let leash: Int32
    }

    /// Starts nothing yet. `settings` come behind the usual ones, such as `["--requirepass", "secret"]`.
    public init(folder: String, settings: [String] = []) throws {
        port = try Self.freePort()
        arguments =
            [
                "--port", "\(port)", "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "yes", "--appendfsync", "always",
                "--loglevel", "warning", "--daemonize", "no",
            ] + settings
    }

    deinit { end(by: SIGKILL) }

    /// `redis://127.0.0.1:port`
    public var url: String { "redis://127.0.0.1:\(port)" }

    /// Starts it, and returns when it answers.
    public func start() async throws {
        guard let program = Self.program else { throw Self.failed("redis-server is not installed") }
        let server = try Spawn.start([program] + arguments, input: nil)
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw Self.failed("no pipe") }
        // The server must not hold its own leash.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let guardian = try Spawn.start(["/bin/sh", "-c", "read line; kill -9 \(server)"], input: ends[0])
        close(ends[0])
        let leash = ends[1]
        child.withLock { $0 = Child(server: server, guardian: guardian, leash: leash) }
        for _ in 0..<2000 {
            // Where it could not have the port somebody else may answer there.
            if waitpid(server, nil, WNOHANG) != 0 {
                end(by: nil)
                throw Self.failed("redis-server has ended at once at port \(port)")
            }
            if answers() { return }
            try await Task.sleep(for: .milliseconds(5))
        }
        crash()
        throw Self.failed("redis-server does not answer at port \(port)")
    }

    /// Ends it in order.
    public func stop() { end(by: SIGTERM) }

    /// Ends it as a crash does.
    public func crash() { end(by: SIGKILL) }

    /// Lets it hang: connections are taken, and nothing is answered.
    public func freeze() { child.withLock { child in _ = child.map { kill($0.server, SIGSTOP) } } }

    /// Lets it go on where it hung.
    public func thaw() { child.withLock { child in _ = child.map { kill($0.server, SIGCONT) } } }

    /// - Parameter signal: nil for a server that has ended, and whose id may be another process's by now.
    private func end(by signal: Int32?) {
        child.withLock { child in
            guard let running = child else { return }
            child = nil
            // First the guardian: a process that comes later may have the server's id.
            kill(running.guardian, SIGKILL)
            waitpid(running.guardian, nil, 0)
            close(running.leash)
            guard let signal else { return }
            kill(running.server, signal)
            // One that was frozen hears nothing but SIGKILL until it goes on.
            kill(running.server, SIGCONT)
            for _ in 0..<1000 {
                if waitpid(running.server, nil, WNOHANG) == running.server { return }
                usleep(2000)
            }
            kill(running.server, SIGKILL)
            waitpid(running.server, nil, 0)
        }
    }

    private func answers() -> Bool {
        guard let descriptor = Self.socket(connectedTo: port) else { return false }
        defer { close(descriptor) }
        var reply = [UInt8](repeating: 0, count: 64)
        guard write(descriptor, "PING\r\n", 6) == 6, case let count = read(descriptor, &reply, reply.count), count > 0 else { return false }
        let text = String(decoding: reply[..<count], as: UTF8.self)
        return text.hasPrefix("+PONG") || text.hasPrefix("-NOAUTH")
    }

    private static func failed(_ what: String) -> SluiceError { SluiceError(.init("redis_server"), .fatal, what) }

    /// Ports that were taken in this program: one whose server is down for a moment is not free.
    private static let taken = Mutex<Set<Int>>([])

    private static func freePort() throws -> Int {
        while true {
            let port = try anyPort()
            if taken.withLock({ $0.insert(port).inserted }) { return port }
        }
    }

    private static func anyPort() throws -> Int {
        let descriptor = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw failed("no socket") }
        defer { close(descriptor) }
        var address = sockaddr_in.loopback(port: 0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0
            }
        }
        guard isBound else { throw failed("no free port") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    private static func socket(connectedTo port: Int) -> Int32? {
        let descriptor = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        var address = sockaddr_in.loopback(port: UInt16(port))
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        if isConnected { return descriptor }
        close(descriptor)
        return nil
    }
}

extension sockaddr_in {
    fileprivate static func loopback(port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = port.bigEndian
        return address
    }
}
