internal import Glibc
internal import SluiceCore

/// The right to write a state file, held by one process: a lock on a file beside it, with the holder's process id in it. The
/// kernel drops the lock with the process, however that ends; the file stays, since removing it would race with the next.
final class ProcessLock {
    private let descriptor: Int32

    /// Takes the lock, or throws `storeLocked` with the holder's id when another has it.
    static func take(besides path: String) throws(SluiceError) -> ProcessLock {
        let file = path + ".lock"
        let descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw SluiceError(
                .storeUnavailable, .pause, "cannot make the lock file \(file): \(String(cString: strerror(errno)).lowercased())",
                mend: "make the folder writable for this user, or point `state:` elsewhere")
        }
        // From here on `deinit` closes the descriptor, on every way out and exactly once.
        let lock = ProcessLock(descriptor)
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            guard code == EWOULDBLOCK else {
                throw SluiceError(
                    .storeUnavailable, .pause, "cannot lock \(file): \(String(cString: strerror(code)).lowercased())",
                    mend: "put the state file on a local disk")
            }
            throw SluiceError(
                .storeLocked, .pause, "the state file \(path) is in use by process \(lock.holder ?? "unknown")",
                mend: "stop that process first, or give this one another `state:`")
        }
        let text = Array("\(getpid())\n".utf8)
        // The id only helps the reader of an error; the lock counts without it.
        if ftruncate(descriptor, 0) == 0 { _ = pwrite(descriptor, text, text.count, 0) }
        return lock
    }

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit {
        // A child that is just being started has the descriptor until it becomes another program, and would keep the lock with it.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }

    private var holder: String? { Self.holder(in: descriptor) }

    private static func holder(in descriptor: Int32) -> String? {
        var bytes = [UInt8](repeating: 0, count: 20)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        let digits = bytes.prefix(max(0, count)).prefix { (48...57).contains($0) }
        return digits.isEmpty ? nil : String(decoding: digits, as: UTF8.self)
    }

    /// Whether the process that had the lock last has ended: looked up by its id, because to try the lock is to have it for a moment.
    static func isHolderGone(besides path: String) -> Bool {
        let descriptor = open(path + ".lock", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return errno == ENOENT }
        defer { close(descriptor) }
        guard let holder = holder(in: descriptor).flatMap({ pid_t($0) }) else { return false }
        return kill(holder, 0) != 0 && errno == ESRCH
    }
}
