#if canImport(Glibc)
    import Glibc
#endif

/// The right to write something, held by one process, and there by one object: a lock on a file with the holder's process id in it. The
/// kernel drops the lock with the process, however that ends; the file stays, since removing it would race with the next.
public final class ProcessLock: Sendable {
    private let descriptor: Int32

    /// Why there is no lock.
    public enum Failure: Error, Hashable {
        /// Another one has it; with its process id, when that can be read.
        case held(by: String?)
        /// The lock file cannot be made, or not be locked: the code of the system's error.
        case unwritable(Int32)
        case unlockable(Int32)
    }

    /// Takes the lock, or throws why there is none. May block.
    /// - Parameters:
    ///   - file: made when it is not there; its folder must be.
    ///   - patience: how often to look again, after 50 ms each, while another one has it: who has it may be ending just now.
    public static func take(_ file: String, patience: Int = 0) throws(Failure) -> ProcessLock {
        for _ in 0..<patience {
            do { return try attempt(file) } catch {
                guard case .held = error else { throw error }
                usleep(50_000)
            }
        }
        return try attempt(file)
    }

    private static func attempt(_ file: String) throws(Failure) -> ProcessLock {
        let descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw .unwritable(errno) }
        // From here on `deinit` closes the descriptor, on every way out and exactly once.
        let lock = ProcessLock(descriptor)
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            throw code == EWOULDBLOCK ? .held(by: holder(in: descriptor)) : .unlockable(code)
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

    private static func holder(in descriptor: Int32) -> String? {
        var bytes = [UInt8](repeating: 0, count: 20)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        let digits = bytes.prefix(max(0, count)).prefix { (48...57).contains($0) }
        return digits.isEmpty ? nil : String(decoding: digits, as: UTF8.self)
    }

    /// Whether the process that had the lock last has ended: looked up by its id, because to try the lock is to have it for a moment.
    public static func isHolderGone(_ file: String) -> Bool {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return errno == ENOENT }
        defer { close(descriptor) }
        guard let holder = holder(in: descriptor).flatMap({ pid_t($0) }) else { return false }
        return kill(holder, 0) != 0 && errno == ESRCH
    }
}
