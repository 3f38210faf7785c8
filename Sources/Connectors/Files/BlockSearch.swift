import Glibc
import SluiceCore
import SluiceFormats

/// Finds where the rows of a block end in a file that we wrote: rows stand in the order of their blocks.
struct BlockSearch {
    private let format: TextRows.Format
    private let path: String
    private let number: LineColumn
    /// The columns of a file of CSV, and where its rows begin. They may be others than those of now.
    let header: [String]?
    let start: Int

    init(_ format: TextRows.Format, _ schema: Schema, in path: String) throws {
        self.format = format
        self.path = path
        let name = try schema.requiredNumber()
        if format == .csv {
            let line = try Self.firstLine(path)
            (header, start) = (LineColumn.columns(of: line), line.count)
        } else {
            (header, start) = (nil, 0)
        }
        guard let number = LineColumn(name, header: header) else {
            throw SluiceError(.filesFolder, .pause, "\(path) has no column \(name)", mend: "restore the file")
        }
        self.number = number
    }

    /// - Parameter start: a place where a line begins, before the end that is looked for; nil: behind what the file begins with.
    func end(of block: UInt64, from start: Int?, to limit: Int) throws -> Int {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw Disk.failure("opening \(path)") }
        defer { close(file) }
        var line: [UInt8] = []
        var (lineStart, isQuoted) = (start ?? self.start, false)
        var end: Int?
        if lineStart >= limit { return limit }
        try Disk.read(file, from: lineStart, path: path) { bytes in
            for byte in bytes {
                line.append(byte)
                if byte == UInt8(ascii: "\"") { isQuoted.toggle() }
                // In JSON no line ends within quotes.
                guard byte == 0x0A, format == .jsonl || !isQuoted else { continue }
                if lineStart >= limit { return false }
                guard let found = number.number(in: line) else {
                    throw SluiceError(
                        .filesFolder, .pause, "\(path) has a line at byte \(lineStart) that is not ours", mend: "restore the file")
                }
                if found > block {
                    end = lineStart
                    return false
                }
                lineStart += line.count
                line.removeAll(keepingCapacity: true)
            }
            return true
        }
        return end ?? min(lineStart, limit)
    }

    /// The lines between two places where lines begin.
    func lines(from start: Int, to end: Int) throws -> [[UInt8]] {
        guard end > start else { return [] }
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw Disk.failure("opening \(path)") }
        defer { close(file) }
        var (lines, line, at, isQuoted) = ([[UInt8]](), [UInt8](), start, false)
        try Disk.read(file, from: start, path: path) { bytes in
            for byte in bytes {
                line.append(byte)
                at += 1
                if byte == UInt8(ascii: "\"") { isQuoted.toggle() }
                if byte == 0x0A, format == .jsonl || !isQuoted {
                    lines.append(line)
                    line = []
                }
                if at == end { return false }
            }
            return true
        }
        return lines
    }

    private static func firstLine(_ path: String) throws -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw Disk.failure("opening \(path)") }
        defer { close(file) }
        var (line, isQuoted) = ([UInt8](), false)
        try Disk.read(file, from: 0, path: path) { bytes in
            for byte in bytes {
                line.append(byte)
                if byte == UInt8(ascii: "\"") { isQuoted.toggle() }
                if byte == 0x0A, !isQuoted { return false }
            }
            return true
        }
        return line
    }
}
