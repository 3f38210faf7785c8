/// A small table in plain text: aligned columns, a header, a rule under it.
public struct TextTable: Sendable {
    private let header: [String]
    private let isRight: [Bool]
    private var rows: [[String]] = []

    /// - Parameter right: indices of the columns that are aligned to the right.
    public init(_ header: [String], right: Set<Int> = []) {
        self.header = header
        isRight = header.indices.map { right.contains($0) }
    }

    /// Adds a row; it must have a cell for each column.
    public mutating func add(_ row: [String]) {
        precondition(row.count == header.count, "a row of another length than the header")
        rows.append(row)
    }

    public var isEmpty: Bool { rows.isEmpty }

    /// The lines, without line ends.
    public func lines(indent: String = "", style: Style = .plain) -> [String] {
        let widths = header.indices.map { column in ([header] + rows).map { Visible.width($0[column]) }.max() ?? 0 }
        func line(_ cells: [String]) -> String {
            let text = cells.indices.map { Visible.padded(cells[$0], widths[$0], right: isRight[$0]) }.joined(separator: "  ")
            return indent + String(text.reversed().drop { $0 == " " }.reversed())
        }
        return [style.bold(line(header)), style.dim(line(widths.map { String(repeating: "-", count: $0) }))] + rows.map(line)
    }
}
