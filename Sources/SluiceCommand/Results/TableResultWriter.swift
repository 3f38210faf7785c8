import SluiceCore
public import SluiceDuckDB

/// Aligned columns for reading with eyes. The first rows settle the widths; later ones may stick out, so that memory does not grow with
/// the result.
public struct TableResultWriter: ResultWriter {
    private let out: TextSink
    private let style: Style
    /// Whether long values are shortened: for a terminal, never for a file.
    private let shortens: Bool
    private var names: [String] = []
    private var waiting: [[Cell]] = []
    private var widths: [Int]?
    private var isRight: [Bool] = []
    /// Rows written so far.
    public private(set) var count = 0

    private struct Cell {
        let text: String
        let isNumber: Bool
        let isNull: Bool
    }

    /// Rows that are looked at before the first is written.
    private static let sample = 500

    public init(style: Style, shortens: Bool, _ out: @escaping TextSink) {
        self.style = style
        self.shortens = shortens
        self.out = out
    }

    public mutating func begin(_ columns: [String]) { names = columns.map(Visible.safe) }

    public mutating func rows(_ rows: [[DuckDBValue]]) {
        count += rows.count
        waiting += rows.map { row in row.map(cell) }
        if widths != nil || waiting.count >= Self.sample { flush() }
    }

    public mutating func end() { flush() }

    private mutating func flush() {
        var text = ""
        if widths == nil {
            let sample = waiting
            let found = names.indices.map { column in
                max(Visible.width(names[column]), sample.map { Visible.width($0[column].text) }.max() ?? 0)
            }
            widths = found
            isRight = names.indices.map { column in
                !sample.isEmpty && sample.allSatisfy { $0[column].isNumber || $0[column].isNull } && sample.contains { $0[column].isNumber }
            }
            text += line(names.enumerated().map { style.bold(Visible.padded($1, found[$0], right: isRight[$0])) })
            text += line(found.map { style.dim(String(repeating: "-", count: $0)) })
        }
        let widths = widths ?? []
        for row in waiting {
            text += line(
                row.enumerated().map { column, cell in
                    Visible.padded(cell.isNull ? style.dim(cell.text) : cell.text, widths[column], right: isRight[column])
                })
        }
        waiting = []
        out(text)
    }

    private func line(_ cells: [String]) -> String {
        let text = cells.joined(separator: "  ")
        guard let last = text.lastIndex(where: { $0 != " " }) else { return "\n" }
        return text[...last] + "\n"
    }

    private func cell(_ value: DuckDBValue) -> Cell {
        var text = value.description
        var isNumber = false
        switch value {
        case .null: return Cell(text: text, isNumber: false, isNull: true)
        case .int, .uint, .int128, .uint128, .bignum, .float, .double, .decimal: isNumber = true
        // An address stays whole; a hash shows both of its ends.
        case .blob(let bytes) where shortens && bytes.count > 20:
            text = "\(Hex.text(bytes.prefix(4)))…\(Hex.text(bytes.suffix(4)).dropFirst(2))"
        case .text:
            text = Visible.safe(text)
            if shortens, isHex(text), text.utf8.count > 42 {
                text = "\(text.prefix(10))…\(text.suffix(8))"
            } else if shortens {
                text = Visible.cut(text, 80)
            }
        default: break
        }
        return Cell(text: text, isNumber: isNumber, isNull: false)
    }

    private func isHex(_ text: String) -> Bool {
        text.hasPrefix("0x") && text.utf8.dropFirst(2).allSatisfy { ($0 >= 48 && $0 <= 57) || ($0 >= 97 && $0 <= 102) }
    }
}
