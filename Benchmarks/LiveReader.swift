import Glibc
import SluiceCommand
import SluiceDuckDB
import Synchronization

/// Watches one database file through the socket of the process that writes it, as `sluice query` asks: when did each block appear?
final class LiveReader: Sendable {
    private let path: String
    private let sql: String
    private let seen = Mutex<[UInt64: Double]>([:])
    private let isOver = Atomic(false)

    /// Microseconds between two questions. What is measured is late by so much at most, and by the question itself.
    static let pause = 10_000

    /// - Parameters:
    ///   - streams: pipelines that write into the file: a block counts when all of them have it.
    ///   - hasBlocks: whether the file has the table `blocks`; then its row must be there too.
    init(_ database: String, streams: Int, hasBlocks: Bool) {
        path = database + ".query"
        // Rows and segments of a pipeline are one transaction.
        let segments = "SELECT max(number) AS n FROM sluice.segments GROUP BY stream"
        let rows = hasBlocks ? "(SELECT max(number) FROM blocks)" : "9223372036854775807"
        sql = "SELECT count(*), least(min(n), \(rows)) FROM (\(segments)) HAVING count(*) = \(streams)"
    }

    /// When each block was seen first, in seconds since 1970.
    var blocks: [UInt64: Double] { seen.withLock { $0 } }

    func stop() { isOver.store(true, ordering: .relaxed) }

    /// Asks again and again, on a thread of its own, until it is stopped. To be called once.
    func start() {
        let reader = Unmanaged.passRetained(self)
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<LiveReader>.fromOpaque(argument).takeRetainedValue().watch()
                return nil
            }, reader.toOpaque())
        pthread_detach(thread)
    }

    private func watch() {
        var last: UInt64?
        while !isOver.load(ordering: .relaxed) {
            // Nobody answers before the file is open.
            if let newest = try? ask(), newest > last ?? 0 {
                let now = Self.now()
                seen.withLock { seen in for number in (last.map { $0 + 1 } ?? newest)...newest { seen[number] = now } }
                last = newest
            }
            usleep(useconds_t(Self.pause))
        }
    }

    static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    // MARK: - One question

    /// The newest block of all streams; nil as long as there is none. The server takes one question a connection.
    private func ask() throws -> UInt64? {
        let socket = try connected()
        defer { close(socket) }
        let question = Frame.query(sql).encoded
        guard question.withUnsafeBytes({ send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }) == question.count else {
            return nil
        }
        var newest: UInt64?
        while let frame = try receive(socket) {
            switch frame {
            case .rows(let rows): newest = rows.first.flatMap { $0.count > 1 ? $0[1].uint64 : nil }
            case .columns: break
            case .done: return newest
            default: return nil
            }
        }
        return nil
    }

    private func connected() throws -> Int32 {
        let socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard socket >= 0, path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw BenchError("\(path): no socket, or its name is too long (see --temp)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let failed = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        guard failed == 0 else {
            close(socket)
            throw BenchError("\(path): \(String(cString: strerror(errno)))")
        }
        return socket
    }

    private func receive(_ socket: Int32) throws -> Frame? {
        guard let head = read(4, socket) else { return nil }
        return read(head.reversed().reduce(0) { $0 << 8 | Int($1) }, socket).flatMap { Frame(payload: $0) }
    }

    private func read(_ count: Int, _ socket: Int32) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = bytes.withUnsafeMutableBytes { recv(socket, $0.baseAddress, $0.count, Int32(MSG_WAITALL)) }
        return got == count ? bytes : nil
    }
}
