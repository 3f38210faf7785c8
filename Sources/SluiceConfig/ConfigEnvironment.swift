internal import Glibc
public import SluiceCore

/// Where `${X}` and `${file:...}` come from, injected.
public struct ConfigEnvironment: Sendable {
    /// The value of a variable; nil when it is not set.
    public let variable: @Sendable (String) -> String?
    /// The text of a file; throws when it cannot be read, with a reason that is safe to show.
    public let file: @Sendable (String) throws(SluiceError) -> String

    public init(
        variable: @escaping @Sendable (String) -> String?, file: @escaping @Sendable (String) throws(SluiceError) -> String
    ) {
        self.variable = variable
        self.file = file
    }

    /// The process's environment and the machine's files.
    public static let live = ConfigEnvironment(
        variable: { name in getenv(name).map { String(cString: $0) } },
        file: { path throws(SluiceError) in try FileText.read(path, limit: 1 << 20) })

    /// Fixed variables and no files: for tests and dry runs.
    public static func fixed(_ variables: [String: String], files: [String: String] = [:]) -> ConfigEnvironment {
        ConfigEnvironment(
            variable: { variables[$0] },
            file: { path throws(SluiceError) in
                guard let text = files[path] else { throw SluiceError(.unreadableFile, .config, "no such file") }
                return text
            })
    }
}

extension SluiceError.Code {
    /// A file that the configuration needs cannot be read.
    public static let unreadableFile = Self("unreadable_file")
}

/// Reads small text files.
enum FileText {
    /// The text of a file of up to `limit` bytes of UTF-8. Errors do not name the path; the caller knows it.
    static func read(_ path: String, limit: Int) throws(SluiceError) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw failure(errno)
            }
            bytes += chunk[..<count]
            guard bytes.count <= limit else { throw SluiceError(.unreadableFile, .config, "larger than \(limit) bytes") }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw SluiceError(.unreadableFile, .config, "not UTF-8 text") }
        return text
    }

    private static func failure(_ code: Int32) -> SluiceError {
        SluiceError(.unreadableFile, .config, String(cString: strerror(code)).lowercased())
    }
}
