import SluiceCore

extension SluiceError.Code {
    /// Nobody can tell which rows come from the row of a dead letter.
    static let deadLetterRow = SluiceError.Code("dead_letter_row")
}

/// The rows of a batch that come from one dead letter, cut out of what is there already. Pure.
enum DeadLetterRows {
    /// What a dead letter calls its row, and the column by which the rows made from it are known.
    struct Place: Sendable {
        let column: String
        let number: UInt64

        /// - Parameter isRefused: a sink named the row: by whatever column tells its table's rows apart.
        init?(_ row: String, isRefused: Bool = false) {
            let words = row.split(separator: " ", omittingEmptySubsequences: false)
            guard words.count == 2, let number = UInt64(words[1]), String(number) == words[1] else { return nil }
            switch words[0] {
            case "log": column = "log_index"
            case "transaction": column = "transaction_index"
            case let word where isRefused && word != "row": column = String(word)
            default: return nil
            }
            self.number = number
        }
    }

    /// The rows of `tables` that come from the letter's row: of its block, with its `log_index` (`log 17`) or `transaction_index`
    /// (`transaction 3`). Tables without such rows are there, empty; those that have no rows at all and could have none are left out.
    ///
    /// - Parameter tables: those that the letter's register makes, and no others: a table that another register fills from the same row
    ///   holds that row already.
    /// - Throws: `dead_letter_row` (class `data`) when the letter names its row in another way, or a table has no column to know them by.
    static func rowsToLoad(
        _ letter: DeadLetter, _ batch: Batch, tables: [String]
    ) throws(SluiceError) -> (place: Place, tables: [Table]) {
        let refused = RefusedName(letter.row)
        guard let place = Place(refused?.row ?? letter.row, isRefused: refused != nil) else {
            throw SluiceError(
                .deadLetterRow, .data, "the dead letter of \(letter.register) at block \(letter.block.number) names its row \(letter.row)",
                mend: "only rows named log N or transaction N can be replayed; read the block again with a backfill")
        }
        let number = letter.block.number
        guard batch.span.first <= number, number <= batch.span.last.number, batch.span.hash(number) == letter.block.hash else {
            return (place, [])
        }
        var out: [Table] = []
        // A sink refused one row of one table.
        for table in tables.compactMap(batch.table) where refused.map({ $0.table == table.schema.name }) ?? true {
            guard let column = table.wholeNumbers(place.column), let blocks = table.schema.blockNumberField.flatMap(table.wholeNumbers)
            else {
                if table.rowCount == 0 { continue }
                throw SluiceError(
                    .deadLetterRow, .data, "the rows of \(table.schema.name) do not say which \(letter.row) they come from",
                    mend: "the table has no \(place.column) with a block number; read the block again with a backfill")
            }
            let rows = (0..<table.rowCount).filter { blocks.uint64($0) == number && column.uint64($0) == place.number }
            out.append(table.rows(rows))
        }
        return (place, out)
    }
}

extension Table {
    /// The column of a field that holds whole numbers; nil when there is none. Those that are stored are never negative.
    fileprivate func wholeNumbers(_ field: String) -> Column? {
        guard let column = column(field), column.type == .int64 || column.type == .uint64 else { return nil }
        return column
    }
}
