import Glibc
import Synchronization

/// What a scripted server has seen, shared with its thread.
final class ServerCounts: Sendable {
    struct Values {
        var connections = 0
        var requests = 0
        var open = 0
    }
    let values = Mutex(Values())
}

/// The thread of a scripted server: takes connections, reads requests, plays the script.
final class ServerLoop {
    private final class Connection {
        let descriptor: Int32
        let number: Int
        var input: [UInt8] = []
        var steps: [ScriptedServer.Step] = []
        var sent = 0
        var resumeAt = 0.0
        var isOver = false

        init(_ descriptor: Int32, _ number: Int) {
            self.descriptor = descriptor
            self.number = number
        }

        var wantsToSend: Bool { if case .send = steps.first { resumeAt == 0 } else { false } }
    }

    private let listener: Int32
    private let wake: Int32
    private let counts: ServerCounts
    private let script: @Sendable (ScriptedServer.Request) -> [ScriptedServer.Step]
    private var connections: [Connection] = []
    private var block = [UInt8](repeating: 0, count: 64 * 1024)

    init(
        listener: Int32, wake: Int32, counts: ServerCounts,
        script: @escaping @Sendable (ScriptedServer.Request) -> [ScriptedServer.Step]
    ) {
        self.listener = listener
        self.wake = wake
        self.counts = counts
        self.script = script
    }

    func run() {
        while true {
            var polled = [pollfd(fd: wake, events: Int16(POLLIN), revents: 0), pollfd(fd: listener, events: Int16(POLLIN), revents: 0)]
            for connection in connections {
                let events = Int32(POLLIN) | (connection.wantsToSend ? Int32(POLLOUT) : 0)
                polled.append(pollfd(fd: connection.descriptor, events: Int16(events), revents: 0))
            }
            let next = connections.map(\.resumeAt).filter { $0 > 0 }.min()
            poll(&polled, nfds_t(polled.count), next.map { Int32(max(0, ($0 - Self.now()) * 1000) + 1) } ?? -1)
            if polled[0].revents != 0 { break }
            for (index, connection) in connections.enumerated() {
                if polled[index + 2].revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 { receive(connection) }
                play(connection)
            }
            if polled[1].revents != 0 { accept() }
            for connection in connections where connection.isOver { finish(connection) }
            connections.removeAll { $0.isOver }
        }
        for connection in connections { finish(connection) }
        close(listener)
    }

    private func finish(_ connection: Connection) {
        close(connection.descriptor)
        counts.values.withLock { $0.open -= 1 }
    }

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    private func accept() {
        let descriptor = Glibc.accept(listener, nil, nil)
        guard descriptor >= 0 else { return }
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        let number = counts.values.withLock { values in
            values.open += 1
            values.connections += 1
            return values.connections - 1
        }
        connections.append(Connection(descriptor, number))
    }

    private func receive(_ connection: Connection) {
        let count = recv(connection.descriptor, &block, block.count, 0)
        if count < 0 && (errno == EAGAIN || errno == EINTR) { return }
        guard count > 0 else {
            connection.isOver = true
            return
        }
        connection.input.append(contentsOf: block[..<count])
        while let request = parse(connection) {
            counts.values.withLock { $0.requests += 1 }
            connection.steps += script(request)
        }
    }

    /// Takes the next whole request off the input.
    private func parse(_ connection: Connection) -> ScriptedServer.Request? {
        let end: [UInt8] = [13, 10, 13, 10]
        guard let head = connection.input.firstRange(of: end) else { return nil }
        let lines = String(decoding: connection.input[..<head.lowerBound], as: UTF8.self).split(separator: "\r\n")
        let words = (lines.first ?? "").split(separator: " ")
        guard words.count == 3 else {
            connection.isOver = true
            return nil
        }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            headers[line[..<colon].lowercased()] = String(line[line.index(after: colon)...].drop { $0 == " " })
        }
        let length = headers["content-length"].flatMap { Int($0) } ?? 0
        guard connection.input.count >= head.upperBound + length else { return nil }
        let body = Array(connection.input[head.upperBound..<head.upperBound + length])
        connection.input.removeFirst(head.upperBound + length)
        return ScriptedServer.Request(
            method: String(words[0]), path: String(words[1]), headers: headers, body: body, connection: connection.number)
    }

    private func play(_ connection: Connection) {
        while !connection.isOver, let step = connection.steps.first {
            switch step {
            case .send(let bytes):
                guard send(bytes, on: connection) else { return }
            case .wait(let duration):
                if connection.resumeAt == 0 {
                    connection.resumeAt = Self.now() + Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
                }
                guard Self.now() >= connection.resumeAt else { return }
                connection.resumeAt = 0
            case .close: connection.isOver = true
            case .reset:
                var linger = linger(l_onoff: 1, l_linger: 0)
                setsockopt(connection.descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
                connection.isOver = true
            case .stall: return
            }
            connection.steps.removeFirst()
        }
    }

    /// True when all of it is out.
    private func send(_ bytes: [UInt8], on connection: Connection) -> Bool {
        while connection.sent < bytes.count {
            let count = bytes.withUnsafeBytes { raw in
                let rest = UnsafeRawBufferPointer(rebasing: raw[connection.sent...])
                return Glibc.send(connection.descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0 {
                if errno == EINTR { continue }
                if errno != EAGAIN { connection.isOver = true }
                return false
            }
            connection.sent += count
        }
        connection.sent = 0
        return true
    }
}

extension Array<ScriptedServer.Step> {
    /// A well-formed response with a `Content-Length`.
    public static func response(_ status: Int = 200, headers: [String] = [], body: [UInt8] = []) -> [ScriptedServer.Step] {
        let lines = ["HTTP/1.1 \(status) Scripted"] + headers + ["Content-Length: \(body.count)", "", ""]
        return [.send([UInt8](lines.joined(separator: "\r\n").utf8) + body)]
    }

    /// Text as it is.
    public static func text(_ text: String) -> [ScriptedServer.Step] { [.send([UInt8](text.utf8))] }
}
