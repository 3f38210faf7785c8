import Glibc
import SluiceCore
import SluiceDuckDB

/// Parts of a file, as they go up.
final class FileReader {
    let count: Int
    private let path: String
    private let file: Int32

    init(_ path: String) throws {
        self.path = path
        file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw Folder.failure("opening \(path)") }
        var info = stat()
        guard fstat(file, &info) == 0 else {
            let failure = Folder.failure("looking at \(path)")
            close(file)
            throw failure
        }
        count = Int(info.st_size)
    }

    deinit { close(file) }

    func read(_ start: Int, _ length: Int) throws -> [UInt8] {
        var failed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: length) { target, done in
            done = 0
            while done < length {
                let got = pread(file, target.baseAddress.map { $0 + done }, length - done, off_t(start + done))
                if got < 0 && errno == EINTR { continue }
                guard got > 0 else {
                    failed = true
                    return
                }
                done += got
            }
        }
        if failed { throw Folder.failure("reading \(path)") }
        return bytes
    }
}
