import Glibc
import SluiceCommand
import SluiceConfig
import SluiceCore
import SluiceDuckDB
import SluiceTelemetry
import Synchronization

/// Answers queries while this process has the database file to itself (DuckDB allows one): over a socket beside the file, for this
/// user alone, on connections of their own that can only read.
///
/// One thread accepts and watches for clients that go away, one thread a query answers. A query shares DuckDB's memory limit with the
/// sink; what does not fit is spilled to the sink's temporary folder.
final class QueryServer: Sendable {
    private struct Client {
        let descriptor: Int32
        var reader: DuckDBReader?
    }

    private struct State {
        var clients: [Int32: Client] = [:]
        var isStopping = false
    }

    /// POLLRDHUP, which Glibc shows to C only with _GNU_SOURCE.
    private static let hangUp: Int16 = 0x2000

    /// Queries at a time: each may take memory that the sink needs.
    private static let limit = 4

    private let path: String
    private let database: String
    private let listener: Int32
    /// Written to when the server shall stop, so that the accepting thread wakes.
    private let wake: (read: Int32, write: Int32)
    private let state = Mutex(State())
    private let log: Log

    /// One for every DuckDB sink that the pipelines load. A socket that cannot be made is a warning: loading goes on without it.
    static func start(for configuration: SluiceConfiguration, pipelines: [String], log: Log) -> [QueryServer] {
        let used = Set(configuration.pipelines.filter { pipelines.contains($0.name) }.flatMap(\.sinks))
        return configuration.sinks.filter { used.contains($0.name) && $0.type == "duckdb" }.compactMap { sink in
            do {
                let server = try QueryServer(database: sink.options.string("path"), log: log)
                Blocking.thread { server.accept() }
                return server
            } catch {
                log.warning("no queries while this runs", ["sink": "\(sink.name)", "error": "\(error)"])
                return nil
            }
        }
    }

    private init(database: String, log: Log) throws {
        self.database = database
        self.log = log
        path = database + ".query"
        try Folder.create(Folder.parent(of: database))
        listener = try UnixSocket.listen(path)
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else {
            close(listener)
            throw Folder.failure("making a pipe")
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        wake = (ends[0], ends[1])
    }

    /// Stops to answer: queries that run are interrupted, the socket is gone. Returns when no query holds the database any more.
    func stop() {
        let readers = state.withLock { state in
            state.isStopping = true
            return state.clients.values.compactMap(\.reader)
        }
        for reader in readers { reader.interrupt() }
        var byte: UInt8 = 1
        _ = write(wake.write, &byte, 1)
        unlink(path)
        // The sink is closed next, and closes the file only when nobody else holds it: give the threads a moment, not for ever.
        for _ in 0..<200 {
            if state.withLock({ $0.clients.isEmpty }) { return }
            usleep(10_000)
        }
        log.warning("a query does not end", ["database": "\(database)"])
    }

    // MARK: - Threads

    private func accept() {
        while true {
            var polled = [
                pollfd(fd: listener, events: Int16(POLLIN), revents: 0), pollfd(fd: wake.read, events: Int16(POLLIN), revents: 0),
            ]
            polled += state.withLock { $0.clients.keys.sorted() }.map { pollfd(fd: $0, events: Self.hangUp, revents: 0) }
            // Also without an event, to see clients that came since.
            let count = poll(&polled, nfds_t(polled.count), 200)
            if count < 0, errno != EINTR { return }
            if state.withLock({ $0.isStopping }) {
                close(listener)
                close(wake.read)
                close(wake.write)
                return
            }
            for entry in polled.dropFirst(2) where entry.revents != 0 {
                state.withLock { $0.clients[entry.fd]?.reader }?.interrupt()
            }
            guard polled[0].revents != 0 else { continue }
            let client = Glibc.accept(listener, nil, nil)
            guard client >= 0 else { continue }
            _ = fcntl(client, F_SETFD, FD_CLOEXEC)
            take(client)
        }
    }

    private func take(_ client: Int32) {
        let isTaken = state.withLock { state in
            guard state.clients.count < Self.limit, !state.isStopping else { return false }
            state.clients[client] = Client(descriptor: client)
            return true
        }
        guard isTaken else {
            let busy = SluiceError(.querySocket, .retry, "\(Self.limit) queries run already", mend: "try again when one of them has ended")
            _ = UnixSocket.send(.failure(busy), to: client)
            close(client)
            return
        }
        Blocking.thread {
            self.answer(client)
            self.state.withLock { state in
                state.clients[client] = nil
                // Inside the lock: the number may be given to the next client as soon as it is closed.
                close(client)
            }
        }
    }

    private func answer(_ client: Int32) {
        // A client that connects and says nothing must not keep a place.
        var patience = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        guard let request = UnixSocket.receive(from: client, limit: 4 << 20) else { return }
        do {
            guard let database = DuckDBDatabase.opened(database) else {
                throw SluiceError(.querySocket, .retry, "\(database) is not open yet", mend: "try again in a moment")
            }
            let reader = try DuckDBReader(database)
            try state.withLock { state in
                if state.isStopping { throw CancellationError() }
                state.clients[client]?.reader = reader
            }
            defer { state.withLock { $0.clients[client]?.reader = nil } }
            try serve(request, reader, client)
        } catch {
            _ = UnixSocket.send(.failure(error), to: client)
        }
    }

    private func serve(_ request: Frame, _ reader: DuckDBReader, _ client: Int32) throws {
        switch request {
        case .query(let sql):
            guard UnixSocket.send(.columns(try reader.start(sql)), to: client) else { return }
            var count: UInt64 = 0
            while let rows = try reader.next() {
                count += UInt64(rows.count)
                guard UnixSocket.send(.rows(rows), to: client) else { return }
            }
            _ = UnixSocket.send(.done(count), to: client)
        case .copy(let sql, let path, let partitions):
            _ = UnixSocket.send(.done(try reader.copy(sql, toParquet: path, partitions: partitions)), to: client)
        default:
            throw SluiceError(
                .querySocket, .data, "the client asks for something that is no query", mend: "use the same version of sluice on both sides")
        }
    }
}
