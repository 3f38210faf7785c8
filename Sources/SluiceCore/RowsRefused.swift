/// Thrown by a `SinkStream` when its store refuses rows for what they hold, and for nothing else.
///
/// By then the stream has taken exactly these rows out of what it holds, and nothing of them, nor of what else it holds, is stored by the
/// step that failed. Whoever called keeps them as dead letters, then makes the stream go on: after `write`, which has taken its batch,
/// by `flush`; after `flush`, `finish`, `finalized` and `rollback` by the same call again. Who cannot keep them opens the stream anew: what is
/// not durable comes again. Out of `amend` nothing was changed.
public struct RowsRefused: Error, Sendable, CustomStringConvertible {
    /// One at least.
    public let rows: [RefusedRow]

    public init(_ rows: [RefusedRow]) {
        precondition(!rows.isEmpty, "no row was refused")
        self.rows = rows
    }

    public var description: String {
        let first = rows[0]
        return "the store refuses \(rows.count) row\(rows.count == 1 ? "" : "s"), \(first.row) of \(first.table) at block "
            + "\(first.block.number) first: \(first.message)"
    }
}

/// A row that a store does not take.
public struct RefusedRow: Sendable, Hashable {
    /// The table's name.
    public let table: String
    /// What names the row in the block and table: see `Table.rowName`.
    public let row: String
    public let block: BlockRef
    /// A stable code, such as `postgres_data`.
    public let reason: String
    /// The store's words.
    public let message: String
    /// The row as JSON.
    public let payload: String

    public init(table: String, row: String, block: BlockRef, reason: String, message: String, payload: String) {
        self.table = table
        self.row = row
        self.block = block
        self.reason = reason
        self.message = message
        self.payload = payload
    }
}

extension Schema {
    /// The column that tells rows of one block apart: `log_index`, `transaction_index`, or what else of whole numbers is in the key; nil when there
    /// is none.
    public var placeField: String? {
        func isPlace(_ name: String) -> Bool {
            fields.contains { $0.name == name && ($0.type == .int64 || $0.type == .uint64) && !$0.nullable }
        }
        for name in ["log_index", "transaction_index"] where isPlace(name) { return name }
        return key.last { $0 != "chain_id" && isPlace($0) } ?? (blockNumberField == "number" ? "number" : nil)
    }
}

extension Table {
    /// What names a row among those of its block and table: `log 17`, `transaction 3`, else the column that tells it and its value
    /// (`index 4`), or `row` and its place in the table.
    public func rowName(_ row: Int) -> String {
        guard let field = schema.placeField, let column = column(field), !column.isNull(row) else { return "row \(row)" }
        let place: UInt64 = column.load(row)
        return switch field {
        case "log_index": "log \(place)"
        case "transaction_index": "transaction \(place)"
        default: "\(field) \(place)"
        }
    }

    /// The number of the block of a row; nil when the table does not say.
    public func blockNumber(_ row: Int) -> UInt64? {
        schema.blockNumberField.flatMap(column).map { $0.load(row, as: UInt64.self) }
    }

    /// Some of its rows, in the order that is given.
    public func rows(_ rows: [Int]) -> Table {
        Table(schema: schema, columns: columns.map { $0.rows(rows) }, rowCount: rows.count)
    }

    /// The table without some of its rows.
    public func without(_ rows: Set<Int>) -> Table { rows.isEmpty ? self : self.rows((0..<rowCount).filter { !rows.contains($0) }) }
}

extension Batch {
    /// The batch without some rows, by table and place in that table.
    public func without(_ rows: [String: Set<Int>]) -> Batch {
        guard tables.contains(where: { !(rows[$0.schema.name]?.isEmpty ?? true) }) else { return self }
        return Batch(chainID: chainID, span: span, tables: tables.map { $0.without(rows[$0.schema.name] ?? []) })
    }
}
