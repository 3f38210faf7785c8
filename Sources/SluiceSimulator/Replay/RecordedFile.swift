import CZstd
import Glibc
import SluiceCore

/// Reads a file of JSON lines, plain or compressed with zstd (told by its first bytes), one line at a time.
struct RecordedFile {
    let path: String

    /// Calls `body` with each line's number (from 1) and bytes; empty lines are left out. Throws `data` errors that name the file.
    func forEachLine(_ body: (Int, UnsafeBufferPointer<UInt8>) throws -> Void) throws {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            throw SluiceError(
                .recordedFile, .config, "opening the recorded file \(path) failed: \(String(cString: strerror(errno)))",
                mend: "check the path")
        }
        defer { close(file) }
        var lines = LineSplitter()
        var decoder: ZstdStream?
        var isFirst = true
        var chunk = [UInt8](repeating: 0, count: 1 << 17)
        while true {
            let count = chunk.withUnsafeMutableBytes { read(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw SluiceError(.recordedFile, .data, "reading \(path) failed: \(String(cString: strerror(errno)))")
            }
            guard count > 0 else { break }
            if isFirst, count >= 4, chunk[0] == 0x28, chunk[1] == 0xB5, chunk[2] == 0x2F, chunk[3] == 0xFD { decoder = ZstdStream() }
            isFirst = false
            if let decoder {
                try decoder.feed(chunk[..<count], path: path) { try lines.feed($0, body) }
            } else {
                try chunk.withUnsafeBufferPointer { try lines.feed(UnsafeBufferPointer(rebasing: $0[..<count]), body) }
            }
        }
        if let decoder, !decoder.isAtFrameEnd {
            throw SluiceError(
                .recordedFile, .data, "\(path):\(lines.number + 1): the compressed file ends in the middle of a frame",
                mend: "fetch the file again: it was cut off")
        }
        try lines.finish(body)
    }
}

/// Cuts bytes into lines.
private struct LineSplitter {
    private var rest: [UInt8] = []
    private(set) var number = 0

    mutating func feed(_ chunk: UnsafeBufferPointer<UInt8>, _ body: (Int, UnsafeBufferPointer<UInt8>) throws -> Void) throws {
        guard let base = chunk.baseAddress else { return }
        var at = 0
        while at < chunk.count, let newline = memchr(base + at, 0x0A, chunk.count - at) {
            let end = UnsafeRawPointer(newline) - UnsafeRawPointer(base)
            rest.append(contentsOf: UnsafeBufferPointer(rebasing: chunk[at..<end]))
            try flush(body)
            at = end + 1
        }
        rest.append(contentsOf: UnsafeBufferPointer(rebasing: chunk[at...]))
    }

    mutating func finish(_ body: (Int, UnsafeBufferPointer<UInt8>) throws -> Void) throws {
        if !rest.isEmpty { try flush(body) }
    }

    private mutating func flush(_ body: (Int, UnsafeBufferPointer<UInt8>) throws -> Void) throws {
        number += 1
        if !rest.isEmpty { try rest.withUnsafeBufferPointer { try body(number, $0) } }
        rest.removeAll(keepingCapacity: true)
    }
}

/// libzstd's streaming decoder.
private final class ZstdStream {
    private let stream = ZSTD_createDStream()
    private var out = [UInt8](repeating: 0, count: 1 << 17)
    private(set) var isAtFrameEnd = false

    deinit { ZSTD_freeDStream(stream) }

    func feed(_ chunk: ArraySlice<UInt8>, path: String, _ body: (UnsafeBufferPointer<UInt8>) throws -> Void) throws {
        try chunk.withUnsafeBufferPointer { source in
            var input = ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: 0)
            var isFull = false
            while input.pos < input.size || isFull {
                let produced = try out.withUnsafeMutableBytes { target -> Int in
                    var output = ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
                    let status = ZSTD_decompressStream(stream, &output, &input)
                    guard ZSTD_isError(status) == 0 else {
                        throw SluiceError(
                            .recordedFile, .data, "decompressing \(path) failed: \(String(cString: ZSTD_getErrorName(status)))",
                            mend: "fetch the file again: it is damaged")
                    }
                    isAtFrameEnd = status == 0
                    return output.pos
                }
                isFull = produced == out.count
                try out.withUnsafeBufferPointer { try body(UnsafeBufferPointer(rebasing: $0[..<produced])) }
                if produced == 0, input.pos == input.size { break }
            }
        }
    }
}
