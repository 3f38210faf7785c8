public import SluiceDuckDB

/// RFC 4180: a header, CRLF, quotes where they are needed. Null is an empty field, empty text is `""`.
public struct CSVResultWriter: ResultWriter {
    private let out: TextSink

    public init(_ out: @escaping TextSink) { self.out = out }

    public mutating func begin(_ columns: [String]) { out(columns.map(Self.field).joined(separator: ",") + "\r\n") }

    public mutating func rows(_ rows: [[DuckDBValue]]) {
        var text = ""
        for row in rows {
            for (index, value) in row.enumerated() {
                if index > 0 { text += "," }
                if value != .null { text += Self.field(value.description) }
            }
            text += "\r\n"
        }
        out(text)
    }

    public mutating func end() {}

    /// A field, quoted when it must be.
    public static func field(_ text: String) -> String {
        // By bytes: a CRLF is one Character, which is neither of its halves.
        let isPlain = !text.isEmpty && !text.utf8.contains { $0 == 0x22 || $0 == 0x2C || $0 == 0x0A || $0 == 0x0D }
        if isPlain { return text }
        var out = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" { out += "\"" }
            out.unicodeScalars.append(scalar)
        }
        return out + "\""
    }
}
