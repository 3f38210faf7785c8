import SluiceCore
import SluiceFormats

/// Where the values of a column stand in lines that we wrote: plain numbers, and bytes in hex. Pure.
struct LineColumn {
    /// CSV: which field of a line it is.
    private let field: Int?
    /// JSON: what stands before it. In the text of a value its quotes would have a backslash before them.
    private let name: [UInt8]

    /// - Parameter header: the columns of the file when it is CSV; nil for JSON.
    /// - Returns: nil when the file has no such column.
    init?(_ name: String, header: [String]?) {
        field = header?.firstIndex(of: name)
        if header != nil && field == nil { return nil }
        self.name = Array((name.jsonQuoted + ":").utf8)
    }

    /// The number of a line.
    func number(in line: some RandomAccessCollection<UInt8>) -> UInt64? {
        text(in: line).flatMap { UInt64(String(decoding: $0, as: UTF8.self)) }
    }

    /// The characters of a line's value, without quotes; nil when there is none.
    func text(in line: some RandomAccessCollection<UInt8>) -> [UInt8]? {
        var rest: ArraySlice<UInt8>
        let line = Array(line)
        if let field {
            var (at, left, isQuoted) = (0, field, false)
            while left > 0, at < line.count {
                if line[at] == UInt8(ascii: "\"") { isQuoted.toggle() }
                if line[at] == UInt8(ascii: ","), !isQuoted { left -= 1 }
                at += 1
            }
            rest = line[at...]
        } else {
            guard let at = Self.first(name, in: line) else { return nil }
            rest = line[at...]
            if rest.first == UInt8(ascii: "\"") { rest = rest.dropFirst() }
        }
        let value = rest.prefix { (48...57).contains($0) || (97...122).contains($0) }
        return value.isEmpty ? nil : Array(value)
    }

    /// The place behind the first time that some bytes stand there.
    private static func first(_ bytes: [UInt8], in line: [UInt8]) -> Int? {
        line.withUnsafeBufferPointer { line in
            bytes.withUnsafeBufferPointer { bytes in
                var at = 0
                while at + bytes.count <= line.count {
                    var same = 0
                    while same < bytes.count, line[at + same] == bytes[same] { same += 1 }
                    if same == bytes.count { return at + same }
                    at += 1
                }
                return nil
            }
        }
    }

    /// The columns that a file of CSV begins with.
    static func columns(of line: [UInt8]) -> [String] {
        var (names, name, isQuoted, was) = ([String](), [UInt8](), false, UInt8(0))
        for byte in line {
            switch byte {
            case UInt8(ascii: "\""):
                // Two of them in quotes are one.
                if !isQuoted && was == byte { name.append(byte) }
                isQuoted.toggle()
            case UInt8(ascii: ",") where !isQuoted, 0x0A where !isQuoted:
                names.append(String(decoding: name, as: UTF8.self))
                name = []
            default: name.append(byte)
            }
            was = byte
        }
        return names
    }
}
