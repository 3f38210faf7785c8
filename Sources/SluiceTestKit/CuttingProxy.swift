import Glibc
import SluiceCore
import Synchronization

/// Stands between a client and a server on this machine and passes on what both say, until it is told to fail: then it cuts connections after a
/// request has reached the server and before the client has its answer, or lets nobody in. One thread, `poll`, port 0.
public final class CuttingProxy: Sendable {
    /// Where clients find it.
    public let port: Int
    private let orders = ProxyOrders()
    private let wakeup: Int32
    private let thread: pthread_t
    private let stopped = Mutex(false)

    /// - Parameter target: the server's port on this machine.
    public init(to target: Int) throws {
        func failed(_ what: String) -> SluiceError { SluiceError(.init("cutting_proxy"), .fatal, "\(what) a proxy: errno \(errno)") }
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard listener >= 0 else { throw failed("opening") }
        var address = ProxyLoop.loopback(0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) == 0 && listen(listener, 256) == 0 && getsockname(listener, $0, &size) == 0
            }
        }
        guard bound else { throw failed("binding") }
        var pipes: [Int32] = [0, 0]
        guard pipe(&pipes) == 0 else { throw failed("waking") }
        for end in pipes { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        port = Int(UInt16(bigEndian: address.sin_port))
        wakeup = pipes[1]
        let context = Unmanaged.passRetained(ProxyLoop(listener: listener, wake: pipes[0], target: target, orders: orders))
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { raw in
                if let raw { Unmanaged<ProxyLoop>.fromOpaque(raw).takeRetainedValue().run() }
                return nil
            }, context.toOpaque())
        guard code == 0 else { throw failed("running") }
        self.thread = thread
    }

    deinit { stop() }

    /// Of so many answers one is kept back and its connection cut, which ones the seed says; nil: none.
    public func cut(oneIn count: UInt64?, seed: UInt64) {
        orders.values.withLock { $0.oneIn = count }
        orders.random.withLock { $0 = SeededRandom(seed: seed) }
    }

    /// Whether nobody is let in, and who is in is thrown out.
    public func refuse(_ refuses: Bool) {
        orders.values.withLock { $0.refuses = refuses }
        wake(1)
    }

    /// How many answers were kept back so far.
    public var cuts: Int { orders.values.withLock { $0.cuts } }

    /// Ends it, and every connection through it.
    public func stop() {
        let first = stopped.withLock { stopped in
            defer { stopped = true }
            return !stopped
        }
        guard first else { return }
        wake(0)
        pthread_join(thread, nil)
        close(wakeup)
    }

    private func wake(_ word: UInt8) {
        var word = word
        _ = write(wakeup, &word, 1)
    }
}

/// What a proxy is told, shared with its thread.
private final class ProxyOrders: Sendable {
    struct Values {
        var oneIn: UInt64?
        var refuses = false
        var cuts = 0
    }
    let values = Mutex(Values())
    let random = Mutex(SeededRandom(seed: 0))

    /// Whether the next answer is to be kept back.
    func keepsBack() -> Bool {
        guard let count = values.withLock({ $0.oneIn }), random.withLock({ $0.next() % count == 0 }) else { return false }
        values.withLock { $0.cuts += 1 }
        return true
    }
}

/// The thread of a proxy.
private final class ProxyLoop {
    /// One way of a connection: what was read here and is still to be written there.
    private struct Way {
        var waiting: [UInt8] = []
        var hasEnded = false
    }

    private final class Pair {
        let client: Int32
        let server: Int32
        var up = Way()
        var down = Way()
        /// Whether the client has said something since the last answer.
        var asked = false
        var isOver = false

        init(_ client: Int32, _ server: Int32) { (self.client, self.server) = (client, server) }
    }

    private let listener: Int32
    private let wake: Int32
    private let target: Int
    private let orders: ProxyOrders
    private var pairs: [Pair] = []
    private var chunk = [UInt8](repeating: 0, count: 64 * 1024)

    init(listener: Int32, wake: Int32, target: Int, orders: ProxyOrders) {
        self.listener = listener
        self.wake = wake
        self.target = target
        self.orders = orders
    }

    static func loopback(_ port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
        return address
    }

    func run() {
        while true {
            var polled = [pollfd(fd: wake, events: Int16(POLLIN), revents: 0), pollfd(fd: listener, events: Int16(POLLIN), revents: 0)]
            for pair in pairs {
                polled.append(pollfd(fd: pair.client, events: events(reads: pair.up, writes: pair.down), revents: 0))
                polled.append(pollfd(fd: pair.server, events: events(reads: pair.down, writes: pair.up), revents: 0))
            }
            poll(&polled, nfds_t(polled.count), -1)
            if polled[0].revents != 0 {
                var word: UInt8 = 0
                guard read(wake, &word, 1) == 1, word == 1 else { break }
            }
            let refuses = orders.values.withLock { $0.refuses }
            for (index, pair) in pairs.enumerated() {
                serve(pair, client: Int32(polled[2 + 2 * index].revents), server: Int32(polled[3 + 2 * index].revents))
                if refuses { pair.isOver = true }
            }
            if polled[1].revents != 0 { accept(refuses) }
            for pair in pairs where pair.isOver { finish(pair) }
            pairs.removeAll { $0.isOver }
        }
        for pair in pairs { finish(pair) }
        close(listener)
        close(wake)
    }

    private func events(reads: Way, writes: Way) -> Int16 {
        // What cannot be passed on yet is not read yet.
        let input = !reads.hasEnded && reads.waiting.count < 1 << 20 ? Int32(POLLIN) : 0
        return Int16(input | (writes.waiting.isEmpty ? 0 : Int32(POLLOUT)))
    }

    private func serve(_ pair: Pair, client: Int32, server: Int32) {
        let readable = Int32(POLLIN | POLLHUP | POLLERR)
        if client & readable != 0, !pair.up.hasEnded, receive(pair.client, &pair.up) { pair.asked = true }
        if server & readable != 0, !pair.down.hasEnded {
            let before = pair.down.waiting.count
            if receive(pair.server, &pair.down), pair.asked {
                if orders.keepsBack() {
                    pair.down.waiting.removeLast(pair.down.waiting.count - before)
                    pair.isOver = true
                    return
                }
                pair.asked = false
            }
        }
        if !send(&pair.up, to: pair.server) || !send(&pair.down, to: pair.client) { pair.isOver = true }
        if pair.up.hasEnded, pair.up.waiting.isEmpty { shutdown(pair.server, Int32(SHUT_WR)) }
        if pair.down.hasEnded, pair.down.waiting.isEmpty { pair.isOver = true }
    }

    /// True when something came.
    private func receive(_ descriptor: Int32, _ way: inout Way) -> Bool {
        let count = recv(descriptor, &chunk, chunk.count, 0)
        if count < 0, errno == EAGAIN || errno == EINTR { return false }
        guard count > 0 else {
            way.hasEnded = true
            return false
        }
        way.waiting += chunk[..<count]
        return true
    }

    /// False when nobody takes it any more.
    private func send(_ way: inout Way, to descriptor: Int32) -> Bool {
        var sent = 0
        while sent < way.waiting.count {
            let count = way.waiting.withUnsafeBytes { raw in
                Glibc.send(descriptor, raw.baseAddress.map { $0 + sent }, raw.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN { break }
            guard count > 0 else { return false }
            sent += count
        }
        way.waiting.removeFirst(sent)
        return true
    }

    private func accept(_ refuses: Bool) {
        let client = Glibc.accept(listener, nil, nil)
        guard client >= 0 else { return }
        let server = refuses ? -1 : socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = Self.loopback(target)
        let isThere =
            server >= 0
            && withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
                }
            }
        guard isThere else {
            Self.reset(client)
            if server >= 0 { close(server) }
            return
        }
        for end in [client, server] {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            var one: Int32 = 1
            setsockopt(end, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        }
        pairs.append(Pair(client, server))
    }

    private func finish(_ pair: Pair) {
        pair.down.hasEnded && pair.down.waiting.isEmpty ? _ = close(pair.client) : Self.reset(pair.client)
        close(pair.server)
    }

    private static func reset(_ descriptor: Int32) {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
        close(descriptor)
    }
}
