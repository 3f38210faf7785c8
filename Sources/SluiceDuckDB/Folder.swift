import Glibc
public import SluiceCore

/// Folders and their entries, made to last.
public enum Folder {
    /// Makes a folder and those above it.
    /// - Throws: `pause` with the system's reason.
    public static func create(_ path: String) throws {
        var at = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            at += part
            if mkdir(at, 0o777) != 0 && errno != EEXIST { throw failure("creating folder \(at)") }
            at += "/"
        }
    }

    /// The folder of a path: `.` when it names none.
    public static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Forces a file, or a folder's list of entries, to the disk.
    public static func sync(_ path: String) throws {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw failure("opening \(path)") }
        defer { close(file) }
        if fsync(file) != 0 { throw failure("forcing \(path) to disk") }
    }

    /// Names in a folder, sorted; none when there is no such folder.
    public static func entries(_ path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// The error of a system call, the last one unless a code is given.
    public static func failure(_ doing: String, _ code: Int32? = nil) -> SluiceError {
        let code = code ?? errno
        let full = code == ENOSPC || code == EDQUOT || code == EFBIG
        return SluiceError(
            full ? .duckdbFull : .duckdbIO, .pause, "\(doing): \(String(cString: strerror(code)))",
            mend: full ? "make room on the disk; it goes on from the last commit" : "give this user the right to write there")
    }
}
