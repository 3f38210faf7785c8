import Glibc
import SluiceCore
import Synchronization

/// Making and emptying the folder of a spill.
enum SpillFolder {
    static let ending = ".spill"

    /// Files of this process are counted through, so that a folder that is used again never meets a name of before.
    private static let counter = Atomic<UInt64>(0)

    /// The path of the next file.
    static func nextPath(in folder: String) -> String {
        let number = String(counter.wrappingAdd(1, ordering: .relaxed).newValue, radix: 16)
        return folder + "/" + String(repeating: "0", count: max(0, 16 - number.count)) + number + ending
    }

    /// Makes the folder with those above it, and deletes what an earlier run has left.
    static func prepare(_ folder: String) throws(SluiceError) {
        var path = folder.hasPrefix("/") ? "/" : ""
        for part in folder.split(separator: "/") {
            path += part + "/"
            guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw unavailable("make", path, errno) }
        }
        guard let directory = opendir(folder) else { throw unavailable("open", folder, errno) }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            guard name.hasSuffix(ending) else { continue }
            let file = folder + "/" + name
            guard unlink(file) == 0 || errno == ENOENT else { throw unavailable("delete", file, errno) }
        }
    }

    static func unavailable(_ verb: String, _ path: String, _ code: Int32) -> SluiceError {
        SluiceError(
            .spillUnavailable, .pause,
            "cannot \(verb) \(path): \(String(cString: strerror(code)).lowercased()); a full edge suspends its sender from now on",
            mend: "free some space, or give `spill` a folder that this user can write")
    }
}
