import Glibc
import SluiceCore
import SluiceDuckDB

/// A file that appears under its name when it is whole; until then it is beside it under another, and goes when the work fails.
final class PartialFile {
    /// Absolute, because another process may be the one that writes.
    let partial: String
    private let path: String
    private var descriptor: Int32?
    private var isFinished = false

    init(_ path: String) throws {
        self.path = try Self.absolute(path)
        partial = self.path + ".partial-\(getpid())"
    }

    deinit {
        if let descriptor { close(descriptor) }
        if !isFinished { unlink(partial) }
    }

    func open() throws -> Int32 {
        let opened = Glibc.open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard opened >= 0 else { throw Folder.failure("writing \(partial)") }
        descriptor = opened
        return opened
    }

    func finish() throws {
        if let descriptor {
            self.descriptor = nil
            guard close(descriptor) == 0 else { throw Folder.failure("writing \(path)") }
        }
        try Folder.sync(partial)
        guard rename(partial, path) == 0 else { throw Folder.failure("renaming \(partial) to \(path)") }
        isFinished = true
    }

    /// From the root, whatever the working directory of the reader is.
    static func absolute(_ path: String) throws -> String {
        if path.hasPrefix("/") { return path }
        guard let folder = getcwd(nil, 0) else { throw Folder.failure("finding the working directory") }
        defer { free(folder) }
        return String(cString: folder) + "/" + path
    }
}
