import Glibc
import SluiceCore

/// A folder that goes away with the test.
final class StoreFolder: Sendable {
    let path: String

    init() throws {
        let root = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(root)/sluice-store-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SluiceError(SluiceError.Code("test"), .fatal, "no folder for the test") }
        path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
    }

    deinit {
        for name in names { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    var names: [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var out: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name != ".", name != ".." { out.append(name) }
        }
        return out.sorted()
    }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    func read(_ name: String) -> [UInt8]? { Self.bytes(file(name)) }

    static func text(_ path: String) -> String? { bytes(path).map { String(decoding: $0, as: UTF8.self) } }

    private static func bytes(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var out: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = Glibc.read(descriptor, &chunk, chunk.count), count > 0 { out += chunk[..<count] }
        return out
    }

    func write(_ name: String, _ bytes: [UInt8]) {
        let descriptor = open(file(name), O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        defer { close(descriptor) }
        _ = Glibc.write(descriptor, bytes, bytes.count)
    }
}

/// A block whose hash follows from its number.
func block(_ number: UInt64, fork: UInt8 = 0) -> BlockRef {
    var bytes = [UInt8](repeating: fork, count: 32)
    for index in 0..<8 { bytes[24 + index] = UInt8(truncatingIfNeeded: number >> UInt64(8 * (7 - index))) }
    return BlockRef(number: number, hash: Hash32(bytes) ?? .zero)
}

/// A segment whose last block has the hash that follows from its number.
func run(_ first: UInt64, _ last: UInt64, fork: UInt8 = 0) -> Segment { Segment(first: first, last: block(last, fork: fork)) }

/// A block whose parent is the one before it, on the same fork or on `parentFork`.
func link(_ number: UInt64, fork: UInt8 = 0, onto parentFork: UInt8? = nil) -> BlockLink {
    BlockLink(ref: block(number, fork: fork), parentHash: number == 0 ? .zero : block(number - 1, fork: parentFork ?? fork).hash)
}

/// The dead letter of a log whose content follows from its number.
func letter(
    _ log: Int, at height: UInt64 = 100, fork: UInt8 = 0, register: String = "erc20_transfers", reason: String = "abi_malformed",
    message: String = "the data ends too early", payload: String? = nil
) -> DeadLetter {
    DeadLetter(
        register: register, row: "log \(log)", block: block(height, fork: fork), reason: reason, message: message,
        payload: payload ?? "{\"log_index\":\(log)}")
}

/// Texts that somebody may send to do harm, or by accident.
let hostileTexts = [
    "", "'; DROP TABLE dead_letters; --", "\" OR 1=1 --", "a\0b", "\u{1B}[2J\u{202E}", "x" + String(repeating: "é🙂", count: 20_000),
    "%_?1@:$",
    "\u{FFFD}\u{10FFFF}\u{FEFF}", "{\"a\":", "\r\n\t\\",
]
