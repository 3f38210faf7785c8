import SluiceCore
import SluiceTelemetry

/// Keeps the rows that a sink's store refuses as dead letters of its pipeline, before whatever is stored without them.
struct RefusedRows: Sendable {
    let journal: any StreamJournal
    let stream: StreamID
    /// Which register makes a table, by the table's name.
    let registers: [String: String]
    let log: Log

    /// What was asked for makes the tables that it is known by.
    static func registers(_ registers: [Register]) -> [String: String] {
        let pairs = registers.flatMap { register in register.schemas.map { ($0.name, register.name) } }
        return Dictionary(pairs, uniquingKeysWith: { first, _ in first })
    }

    /// The letters of some rows. They name the sink as well: it is only there that the rows are missing.
    func letters(_ rows: [RefusedRow], sink: String) -> [DeadLetter] {
        rows.map { row in
            DeadLetter(
                register: registers[row.table] ?? row.table, row: RefusedName(row, sink: sink).description, block: row.block,
                reason: row.reason, message: row.message, payload: row.payload)
        }
    }

    /// Durable when it returns. Throws `pause` when no more may be kept.
    func keep(_ rows: [RefusedRow], sink: String) async throws {
        guard let first = rows.first else { return }
        try await journal.keep(letters(rows, sink: sink), of: stream)
        log.warning(
            "a sink refuses rows; they are kept as dead letters",
            [
                "pipeline": "\(stream.pipeline)", "sink": "\(sink)", "rows": "\(rows.count)", "block": "\(first.block.number)",
                "first": "\(first.row) of \(first.table)", "reason": "\(first.message)",
            ])
    }
}

/// How the letter of a refused row names it: `log 17 of logs in warehouse`.
struct RefusedName: Hashable, Sendable, CustomStringConvertible {
    let row: String
    let table: String
    let sink: String

    init(_ row: RefusedRow, sink: String) {
        self.row = row.row
        table = row.table
        self.sink = sink
    }

    /// Nil: the letter is not one of a row that a sink refused.
    init?(_ text: String) {
        let words = text.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: false)
        guard words.count == 6, words[2] == "of", words[4] == "in" else { return nil }
        row = "\(words[0]) \(words[1])"
        table = String(words[3])
        sink = String(words[5])
    }

    var description: String { "\(row) of \(table) in \(sink)" }
}
