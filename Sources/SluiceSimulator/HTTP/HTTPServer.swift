import Glibc
import SluiceCore
import Synchronization

/// A small HTTP/1.1 server on loopback: one thread, `poll(2)` over a few dozen sockets, answers given
/// synchronously by the handler.
///
/// It is hand-written because the simulator must be able to break HTTP on purpose (a reset, a body that stops half-way, a
/// trickle), and because it shares the machine with the program under test: sending a body of
/// 642 kB straight from where it was rendered took a sixth of the time that libwebsockets needed for the same.
final class HTTPServer: Sendable {
    /// Answers one request body; called on the service thread.
    typealias Handler = @Sendable (UnsafeBufferPointer<UInt8>) -> HTTPAnswer

    private struct Life {
        /// The write end of the pipe that ends the loop's wait.
        var wake: Int32 = -1
        var isStopping = false
        var whenStopped: CheckedContinuation<Void, Never>?
        var hasStopped = false
    }

    private let life = Mutex(Life())
    private let sent = Atomic<Int>(0)
    private let accepted = Atomic<Int>(0)
    private let time: TimeSource
    private let handler: Handler

    init(time: TimeSource, handler: @escaping Handler) {
        self.time = time
        self.handler = handler
    }

    /// Bytes sent since the start, heads included.
    var bytesSent: Int { sent.load(ordering: .relaxed) }
    /// Connections accepted since the start.
    var connections: Int { accepted.load(ordering: .relaxed) }

    /// Listens and starts the thread; returns the port. Throws a `retry` error when the port is taken.
    func start(host: String, port: UInt16) throws -> UInt16 {
        let listener = try Listener(host: host, port: port)
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            close(listener.socket)
            throw SluiceError(.simulatorStart, .retry, "opening a pipe failed: \(String(cString: strerror(errno)))")
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let wake = ends[1]
        life.withLock { $0.wake = wake }
        let loop = HTTPLoop(listener: listener.socket, wake: ends[0], time: time, server: self)
        // SAFETY: the loop is handed to the thread, which alone uses it from here on and releases it.
        let box = Unmanaged.passRetained(loop)
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<HTTPLoop>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        guard status == 0 else {
            box.release()
            throw SluiceError(.simulatorStart, .fatal, "starting the simulator's thread failed: error \(status)")
        }
        pthread_detach(thread)
        return listener.port
    }

    /// Closes all connections and waits until the thread has ended.
    func stop() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let ended = life.withLock { life -> Bool in
                guard life.wake >= 0, !life.hasStopped else { return true }
                life.isStopping = true
                life.whenStopped = continuation
                var one: UInt8 = 1
                _ = write(life.wake, &one, 1)
                return false
            }
            if ended { continuation.resume() }
        }
    }

    fileprivate var isStopping: Bool { life.withLock { $0.isStopping } }

    fileprivate func answer(_ body: UnsafeBufferPointer<UInt8>) -> HTTPAnswer { handler(body) }

    fileprivate func note(sent bytes: Int) { sent.add(bytes, ordering: .relaxed) }
    fileprivate func noteAccepted() { accepted.add(1, ordering: .relaxed) }

    fileprivate func ended() {
        let waiter = life.withLock { life -> CheckedContinuation<Void, Never>? in
            life.hasStopped = true
            close(life.wake)
            defer { life.whenStopped = nil }
            return life.whenStopped
        }
        waiter?.resume()
    }
}

/// What the service thread owns.
private final class HTTPLoop {
    private struct Due {
        let time: MonotonicTime
        let socket: Int32
        let serial: UInt64
        /// The answer that waits; nil when a trickle goes on.
        let answer: (HTTPAnswer, keepAlive: Bool)?
    }

    private let listener: Int32
    private let wake: Int32
    private let time: TimeSource
    private let server: HTTPServer
    private var connections: [Int32: HTTPConnection] = [:]
    private var due: [Due] = []
    private var serial: UInt64 = 0
    private let scratch = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 64 * 1024)

    init(listener: Int32, wake: Int32, time: TimeSource, server: HTTPServer) {
        self.listener = listener
        self.wake = wake
        self.time = time
        self.server = server
    }

    deinit { scratch.deallocate() }

    func run() {
        var watched: [pollfd] = []
        while !server.isStopping {
            watched.removeAll(keepingCapacity: true)
            watched.append(pollfd(fd: wake, events: Int16(POLLIN), revents: 0))
            watched.append(pollfd(fd: listener, events: Int16(POLLIN), revents: 0))
            for connection in connections.values {
                watched.append(pollfd(fd: connection.socket, events: Int16(connection.waitsForRoom ? POLLOUT : POLLIN), revents: 0))
            }
            let ready = poll(&watched, nfds_t(watched.count), timeout())
            if ready > 0 {
                // Accepted last: a descriptor that is closed in this round must not be given out again before its turn.
                for item in watched.dropFirst(2) where item.revents != 0 {
                    if let connection = connections[item.fd] { on(connection, Int32(item.revents)) }
                }
                if watched[1].revents != 0 { accept() }
            }
            deliverDue()
        }
        connections.removeAll()
        close(listener)
        close(wake)
        server.ended()
    }

    private func timeout() -> Int32 {
        guard let next = due.first?.time else { return -1 }
        let wait = (next - time.now()).seconds
        return wait <= 0 ? 0 : Int32(min(60_000, (wait * 1000).rounded(.up)))
    }

    private func accept() {
        while true {
            let socket = Glibc.accept(listener, nil, nil)
            guard socket >= 0 else { return }
            _ = fcntl(socket, F_SETFL, O_NONBLOCK)
            _ = fcntl(socket, F_SETFD, FD_CLOEXEC)
            var one: Int32 = 1
            setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
            serial += 1
            let connection = HTTPConnection(socket: socket, serial: serial)
            connections[socket] = connection
            server.noteAccepted()
        }
    }

    private func on(_ connection: HTTPConnection, _ events: Int32) {
        if events & (POLLERR | POLLHUP | POLLNVAL) != 0 { return drop(connection) }
        if events & POLLOUT != 0 { pump(connection) }
        if events & POLLIN != 0, connections[connection.socket] === connection { receive(connection) }
    }

    private func receive(_ connection: HTTPConnection) {
        let count = recv(connection.socket, scratch.baseAddress, scratch.count, 0)
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        // More than one request's worth of bytes while an answer is under way is no client of ours.
        let limit = HTTPRequestParser.bodyLimit + 2 * HTTPRequestParser.headLimit
        guard count > 0, connection.parser.bytes.count + count <= limit else { return drop(connection) }
        connection.parser.append(UnsafeBufferPointer(rebasing: scratch[..<count]))
        serve(connection)
    }

    /// Answers what is complete. One at a time: what is pipelined waits.
    private func serve(_ connection: HTTPConnection) {
        while !connection.isBusy, connections[connection.socket] === connection, !connection.parser.bytes.isEmpty {
            switch connection.parser.next() {
            case .incomplete(let expectsContinue):
                if expectsContinue {
                    let text = "HTTP/1.1 100 Continue\r\n\r\n"
                    _ = send(connection.socket, text, text.utf8.count, Int32(MSG_NOSIGNAL))
                }
                return
            case .refused(let status):
                return start(connection, HTTPAnswer(status: status, body: Body("{}")), keepAlive: false)
            case .request(let request):
                let answer = answer(request, connection)
                connection.parser.consume()
                connection.reserve()
                if answer.delay > .zero {
                    schedule(
                        Due(
                            time: time.now() + answer.delay, socket: connection.socket, serial: connection.serial,
                            answer: (answer, request.keepAlive)))
                } else {
                    start(connection, answer, keepAlive: request.keepAlive)
                }
            }
        }
    }

    private func answer(_ request: HTTPRequestParser.Request, _ connection: HTTPConnection) -> HTTPAnswer {
        guard request.method == "POST" else { return HTTPAnswer(status: 405, headers: ["Allow: POST"], body: Body("{}")) }
        return connection.parser.bytes.withUnsafeBufferPointer { server.answer(UnsafeBufferPointer(rebasing: $0[request.body])) }
    }

    private func start(_ connection: HTTPConnection, _ answer: HTTPAnswer, keepAlive: Bool) {
        connection.begin(answer, keepAlive: keepAlive)
        pump(connection)
    }

    private func pump(_ connection: HTTPConnection) {
        let before = connection.bytesSent
        let progress = connection.pump(now: time.now())
        server.note(sent: connection.bytesSent - before)
        switch progress {
        case .done:
            connection.waitsForRoom = false
            serve(connection)
        case .blocked:
            connection.waitsForRoom = true
        case .waiting(let until):
            connection.waitsForRoom = false
            schedule(Due(time: until, socket: connection.socket, serial: connection.serial, answer: nil))
        case .closed: drop(connection)
        }
    }

    private func drop(_ connection: HTTPConnection) {
        due.removeAll { $0.serial == connection.serial }
        // The descriptor closes with the last reference.
        connections[connection.socket] = nil
    }

    private func schedule(_ item: Due) {
        let at = due.firstIndex { item.time < $0.time } ?? due.endIndex
        due.insert(item, at: at)
    }

    private func deliverDue() {
        guard !due.isEmpty else { return }
        let now = time.now()
        while let item = due.first, item.time <= now {
            due.removeFirst()
            guard let connection = connections[item.socket], connection.serial == item.serial else { continue }
            if let (answer, keepAlive) = item.answer {
                start(connection, answer, keepAlive: keepAlive)
            } else {
                pump(connection)
            }
        }
    }
}

/// A listening socket on an IPv4 address.
private struct Listener {
    let socket: Int32
    let port: UInt16

    init(host: String, port wanted: UInt16) throws {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = wanted.bigEndian
        guard inet_pton(AF_INET, host, &address.sin_addr) == 1 else {
            throw SluiceError(.simulatorStart, .config, "listening on '\(host)': not an IPv4 address", mend: "give one, as 127.0.0.1")
        }
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var one: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &one, 4)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(socket, generic, length) == 0 && listen(socket, 256) == 0 && getsockname(socket, generic, &length) == 0
            }
        }
        guard bound else {
            let reason = String(cString: strerror(errno))
            close(socket)
            throw SluiceError(
                .simulatorStart, .retry, "listening on \(host):\(wanted) failed: \(reason)",
                mend: "choose another port, or 0 for any that is free")
        }
        self.socket = socket
        port = UInt16(bigEndian: address.sin_port)
    }
}
