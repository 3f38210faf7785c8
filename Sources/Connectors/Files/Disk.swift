import Glibc
public import SluiceCore

extension SluiceError.Code {
    /// A file could not be read or written.
    public static let filesIO = SluiceError.Code("files_io")
    /// There is no room for a file to grow.
    public static let filesFull = SluiceError.Code("files_full")
    /// A folder does not hold what it should.
    public static let filesFolder = SluiceError.Code("files_folder")
    /// What was taken could not be written: it must be sent again.
    public static let filesReopen = SluiceError.Code("files_reopen")
}

/// Files and folders, made to last. Everything blocks; failures are errors of class `pause` that name the place.
enum Disk {
    /// The error of a system call, the last one unless a code is given.
    static func failure(_ doing: String, _ code: Int32 = errno) -> SluiceError {
        let full = code == ENOSPC || code == EDQUOT || code == EFBIG
        return SluiceError(
            full ? .filesFull : .filesIO, .pause, "\(doing): \(String(cString: strerror(code)).lowercased())",
            mend: full ? "make room on the disk; it goes on from what was stored last" : "give this user the right to write there")
    }

    static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Makes a folder and those above it, and what was made last.
    static func create(folder path: String) throws {
        var at = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            let above = at.isEmpty ? "." : at
            at += part
            if mkdir(at, 0o777) == 0 { try sync(above) } else if errno != EEXIST { throw failure("creating folder \(at)") }
            at += "/"
        }
    }

    /// Forces a file, or a folder's list of entries, to the disk.
    static func sync(_ path: String) throws {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw failure("opening \(path)") }
        defer { close(file) }
        if fsync(file) != 0 { throw failure("forcing \(path) to disk") }
    }

    /// Names in a folder, sorted; none when there is no such folder.
    static func entries(_ path: String) throws -> [String] {
        guard let folder = opendir(path) else {
            if errno == ENOENT { return [] }
            throw failure("reading \(path)")
        }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Bytes of a file; nil when it is not there.
    static func size(_ path: String) throws -> Int? {
        var info = stat()
        if stat(path, &info) == 0 { return Int(info.st_size) }
        if errno == ENOENT { return nil }
        throw failure("looking at \(path)")
    }

    /// Removes a file; that there is none is well.
    static func remove(_ path: String) throws {
        if unlink(path) != 0 && errno != ENOENT { throw failure("removing \(path)") }
    }

    /// Takes off what is behind the first bytes.
    static func cut(_ path: String, to count: Int) throws {
        let file = open(path, O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { throw failure("opening \(path)") }
        defer { close(file) }
        guard ftruncate(file, off_t(count)) == 0, fsync(file) == 0 else { throw failure("cutting \(path)") }
    }

    /// Writes all bytes at a place.
    static func write(_ bytes: UnsafeRawBufferPointer, to file: Int32, at offset: Int, path: String) throws {
        var done = 0
        while done < bytes.count {
            let count = pwrite(file, bytes.baseAddress.map { $0 + done }, bytes.count - done, off_t(offset + done))
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw failure("writing \(path)") }
            done += count
        }
    }

    /// Writes some bytes of a file to a place in another.
    static func copy(_ range: Range<Int>, of source: Int32, from path: String, to file: Int32, at offset: Int, path target: String) throws {
        var done = 0
        if range.isEmpty { return }
        try read(source, from: range.lowerBound, path: path) { bytes in
            let some = UnsafeRawBufferPointer(rebasing: bytes.prefix(range.count - done))
            try write(some, to: file, at: offset + done, path: target)
            done += some.count
            return done < range.count
        }
        guard done == range.count else {
            throw SluiceError(.filesFolder, .pause, "\(path) has become shorter while it was read", mend: "restore the file")
        }
    }

    /// Gives a file another name, in the place of what had it.
    static func rename(_ path: String, to name: String) throws {
        guard Glibc.rename(path, name) == 0 else { throw failure("renaming \(path)") }
        try sync(parent(of: name))
    }

    /// Puts a small file in the place of what has its name: readers, and whoever comes after a crash, see the one or the other.
    static func replace(_ path: String, with text: String) throws {
        let next = path + ".next"
        let file = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard file >= 0 else { throw failure("creating \(next)") }
        do {
            defer { close(file) }
            var text = text
            try text.withUTF8 { try write(UnsafeRawBufferPointer($0), to: file, at: 0, path: next) }
            guard fsync(file) == 0 else { throw failure("forcing \(next) to disk") }
        }
        try rename(next, to: path)
    }

    /// The whole of a file as text; nil when it is not there.
    static func text(_ path: String) throws -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("opening \(path)")
        }
        defer { close(file) }
        var bytes: [UInt8] = []
        try read(file, from: 0, path: path) { piece in
            bytes += piece
            return true
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Reads a file piece by piece until it ends or `body` has enough.
    static func read(_ file: Int32, from offset: Int, path: String, _ body: (UnsafeRawBufferPointer) throws -> Bool) throws {
        try withUnsafeTemporaryAllocation(byteCount: 256 << 10, alignment: 16) { buffer in
            var at = offset
            while true {
                let count = pread(file, buffer.baseAddress, buffer.count, off_t(at))
                if count < 0 && errno == EINTR { continue }
                guard count >= 0 else { throw failure("reading \(path)") }
                at += count
                if count == 0 { return }
                if try !body(UnsafeRawBufferPointer(rebasing: buffer[..<count])) { return }
            }
        }
    }
}
