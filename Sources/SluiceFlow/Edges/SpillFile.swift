import Glibc
import SluiceCore

/// An open file, closed with the object.
final class SpillFile {
    let path: String
    let descriptor: Int32

    /// Opens a file, or nil with `errno` set. Only this user may read it.
    init?(_ path: String, flags: Int32) {
        descriptor = open(path, flags | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return nil }
        self.path = path
    }

    deinit { close(descriptor) }

    /// Fills the target from an offset; false when the file ends before, or cannot be read.
    func read(into target: UnsafeMutableRawBufferPointer, at offset: Int) -> Bool {
        var done = 0
        while done < target.count {
            let count = pread(descriptor, target.baseAddress.map { $0 + done }, target.count - done, off_t(offset + done))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            done += count
        }
        return true
    }
}

/// The system calls that a disk fails in, so that tests can have them fail.
struct SpillCalls: Sendable {
    /// As `write(2)`.
    var write: @Sendable (Int32, UnsafeRawBufferPointer) -> Int = { descriptor, bytes in
        Glibc.write(descriptor, bytes.baseAddress, bytes.count)
    }
    /// Called on the edge's thread before each piece of work, so that tests can hold it.
    var before: @Sendable () -> Void = {}

    /// Writes all bytes; false with `errno` set when the disk refuses.
    func writeAll(_ bytes: UnsafeRawBufferPointer, to file: SpillFile) -> Bool {
        var done = 0
        while done < bytes.count {
            let count = write(file.descriptor, UnsafeRawBufferPointer(rebasing: bytes[done...]))
            if count < 0, errno == EINTR { continue }
            if count == 0 { errno = ENOSPC }
            guard count > 0 else { return false }
            done += count
        }
        return true
    }
}
