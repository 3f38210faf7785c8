import Glibc
import SluiceCore
import SluiceFormats

/// Finds where the rows of a block end in a file that we wrote: rows stand in the order of their blocks.
struct BlockSearch {
    private let format: TextRows.Format
    /// CSV: which field of a line is the block's number.
    private let field: Int
    /// JSON: what stands before it. In the text of a value its quotes would have a backslash before them.
    private let name: [UInt8]

    init(_ format: TextRows.Format, _ schema: Schema) throws {
        self.format = format
        let number = try schema.requiredNumber()
        field = schema.index(of: number) ?? 0
        name = Array((number.jsonQuoted + ":").utf8)
    }

    /// - Parameter start: a place where a line begins, before the end that is looked for; nil: behind what the file begins with.
    func end(of number: UInt64, in path: String, from start: Int?, to limit: Int) throws -> Int {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw Disk.failure("opening \(path)") }
        defer { close(file) }
        var line: [UInt8] = []
        var (lineStart, isQuoted, isHeader) = (start ?? 0, false, format == .csv && start == nil)
        var end: Int?
        try Disk.read(file, from: lineStart, path: path) { bytes in
            for byte in bytes {
                line.append(byte)
                if byte == UInt8(ascii: "\"") { isQuoted.toggle() }
                // In JSON no line ends within quotes.
                guard byte == 0x0A, format == .jsonl || !isQuoted else { continue }
                if lineStart >= limit { return false }
                if !isHeader {
                    guard let found = block(of: line) else {
                        throw SluiceError(
                            .filesFolder, .pause, "\(path) has a line at byte \(lineStart) that is not ours", mend: "restore the file")
                    }
                    if found > number {
                        end = lineStart
                        return false
                    }
                }
                isHeader = false
                lineStart += line.count
                line.removeAll(keepingCapacity: true)
            }
            return true
        }
        return end ?? min(lineStart, limit)
    }

    private func block(of line: [UInt8]) -> UInt64? {
        let digits: ArraySlice<UInt8>
        if format == .jsonl {
            guard let at = line.firstRange(of: name) else { return nil }
            digits = line[at.upperBound...]
        } else {
            var (at, left, isQuoted) = (0, field, false)
            while left > 0, at < line.count {
                if line[at] == UInt8(ascii: "\"") { isQuoted.toggle() }
                if line[at] == UInt8(ascii: ","), !isQuoted { left -= 1 }
                at += 1
            }
            digits = line[at...]
        }
        return UInt64(String(decoding: digits.prefix { (48...57).contains($0) }, as: UTF8.self))
    }
}
