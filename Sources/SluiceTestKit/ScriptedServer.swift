import Glibc
import SluiceCore
import Synchronization

/// A loopback HTTP/1.1 server that does exactly what a script says, well-formed or not. One thread, `poll`, port 0.
public final class ScriptedServer: Sendable {
    /// One request as it came.
    public struct Request: Sendable {
        public let method: String
        public let path: String
        /// Names in lower case.
        public let headers: [String: String]
        public let body: [UInt8]
        /// Which connection it came on, counted from 0.
        public let connection: Int
    }

    /// What happens next on the connection.
    public enum Step: Sendable {
        case send([UInt8])
        /// Nothing for so long.
        case wait(Duration)
        /// Ends the connection.
        case close
        /// Ends the connection with a reset.
        case reset
        /// Says nothing more, for ever.
        case stall
    }

    public let port: Int
    private let counts: ServerCounts
    private let wakeup: (read: Int32, write: Int32)
    private let thread: pthread_t
    private let stopped = Mutex(false)

    /// Starts; `script` is called on the server's thread for each request. Throws `SluiceError` when there is no socket.
    public init(_ script: @escaping @Sendable (Request) -> [Step]) throws {
        func failed(_ what: String) -> SluiceError {
            SluiceError(.init("scripted_server"), .fatal, "\(what) a test server: errno \(errno)")
        }
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard listener >= 0 else { throw failed("opening") }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) == 0 && listen(listener, 1024) == 0 && getsockname(listener, $0, &size) == 0
            }
        }
        guard bound else { throw failed("binding") }
        var pipes: [Int32] = [0, 0]
        guard pipe(&pipes) == 0 else { throw failed("waking") }
        port = Int(UInt16(bigEndian: address.sin_port))
        wakeup = (pipes[0], pipes[1])
        counts = ServerCounts()
        let context = Unmanaged.passRetained(ServerLoop(listener: listener, wake: pipes[0], counts: counts, script: script))
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { raw in
                if let raw { Unmanaged<ServerLoop>.fromOpaque(raw).takeRetainedValue().run() }
                return nil
            }, context.toOpaque())
        guard code == 0 else { throw failed("running") }
        self.thread = thread
    }

    deinit { stop() }

    public var url: String { "http://127.0.0.1:\(port)" }
    /// Connections taken so far.
    public var connections: Int { counts.values.withLock { $0.connections } }
    public var requests: Int { counts.values.withLock { $0.requests } }
    /// Connections that are open now.
    public var open: Int { counts.values.withLock { $0.open } }

    /// Closes everything and joins the thread.
    public func stop() {
        let first = stopped.withLock { stopped in
            defer { stopped = true }
            return !stopped
        }
        guard first else { return }
        var byte: UInt8 = 1
        _ = write(wakeup.write, &byte, 1)
        pthread_join(thread, nil)
        close(wakeup.read)
        close(wakeup.write)
    }
}
