import Glibc
import SluiceCommand
import SluiceCore

extension SluiceError.Code {
    /// The socket beside a database file cannot be used.
    static let querySocket = Self("query_socket")
}

/// Blocking calls on a Unix stream socket: frames in, frames out.
enum UnixSocket {
    /// O_PATH, which Glibc shows to C only with _GNU_SOURCE.
    private static let onlyPath: Int32 = 0o10000000

    /// A socket that listens at `path`, for this user alone. What lies there already is replaced when nobody answers on it.
    static func listen(_ path: String) throws -> Int32 {
        if let other = try? connect(path) {
            close(other)
            throw failure(path, "another process answers on it")
        }
        let descriptor = try make(path)
        unlink(path)
        do {
            // Before it has a name: the file is made with the socket's own mode, so there is no moment at which others may connect.
            guard fchmod(descriptor, 0o600) == 0 else { throw failure(path, errno) }
            guard try addressed(path, { Glibc.bind(descriptor, $0, $1) }) == 0 else { throw failure(path, errno) }
            guard chmod(path, 0o600) == 0, Glibc.listen(descriptor, 8) == 0 else { throw failure(path, errno) }
        } catch {
            close(descriptor)
            throw error
        }
        return descriptor
    }

    /// A connection to whoever listens at `path`.
    static func connect(_ path: String) throws -> Int32 {
        let descriptor = try make(path)
        do {
            guard try addressed(path, { Glibc.connect(descriptor, $0, $1) }) == 0 else { throw failure(path, errno) }
        } catch {
            close(descriptor)
            throw error
        }
        return descriptor
    }

    /// Writes a frame; false when the other side is gone.
    static func send(_ frame: Frame, to descriptor: Int32) -> Bool {
        var bytes = frame.encoded[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            bytes = bytes.dropFirst(count)
        }
        return true
    }

    /// Reads a frame; nil when the other side is gone or says something that is none.
    static func receive(from descriptor: Int32, limit: Int = Frame.limit) -> Frame? {
        guard let head = read(4, from: descriptor) else { return nil }
        let length = head.reversed().reduce(0) { $0 << 8 | Int($1) }
        guard length <= limit, let payload = read(length, from: descriptor) else { return nil }
        return Frame(payload: payload)
    }

    private static func read(_ count: Int, from descriptor: Int32) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(min(count, 1 << 20))
        var chunk = [UInt8](repeating: 0, count: min(max(1, count), 1 << 18))
        while bytes.count < count {
            let wanted = min(chunk.count, count - bytes.count)
            let got = chunk.withUnsafeMutableBytes { Glibc.recv(descriptor, $0.baseAddress, wanted, 0) }
            if got < 0, errno == EINTR { continue }
            guard got > 0 else { return nil }
            bytes += chunk[..<got]
        }
        return bytes
    }

    private static func make(_ path: String) throws -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw failure(path, errno) }
        return descriptor
    }

    /// Calls `body` with the address of a path. A path that is too long for one goes by way of its folder's descriptor.
    private static func addressed(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) throws -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path) - 1
        var shown = path
        var folder: Int32 = -1
        if path.utf8.count > room {
            let name = path.split(separator: "/").last.map(String.init) ?? path
            folder = open(String(path.dropLast(name.count)), onlyPath | O_DIRECTORY | O_CLOEXEC)
            guard folder >= 0 else { throw failure(path, errno) }
            shown = "/proc/self/fd/\(folder)/\(name)"
        }
        defer { if folder >= 0 { close(folder) } }
        guard shown.utf8.count <= room else { throw failure(path, "the name is too long") }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: shown.utf8) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
    }

    private static func failure(_ path: String, _ code: Int32) -> SluiceError {
        failure(path, String(cString: strerror(code)).lowercased())
    }

    private static func failure(_ path: String, _ reason: String) -> SluiceError {
        SluiceError(
            .querySocket, .pause, "the query socket \(path): \(reason)", mend: "check the folder's rights, and which process holds the file"
        )
    }
}
