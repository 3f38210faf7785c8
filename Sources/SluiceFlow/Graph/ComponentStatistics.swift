import SluiceCore

/// Rows that went through a component. They balance: in = out + filtered + dead letters, where a component makes at most one row of each.
public struct RowCount: Hashable, Sendable {
    /// Rows of the tables that it reads.
    public var `in` = 0
    /// Rows of the tables that it makes.
    public var out = 0
    /// Rows left out on purpose, by reason.
    public var filtered: [String: Int] = [:]
    public var deadLetters = 0

    public init() {}

    mutating func add(in batch: Batch, needs: [Need], out tables: [Table], report: PipeReport) {
        // Several needs may be of one table.
        for table in Set(needs.map(\.table)) { self.in += batch.table(table)?.rowCount ?? 0 }
        for table in tables { out += table.rowCount }
        for (reason, rows) in report.filtered { filtered[reason, default: 0] += rows }
        deadLetters += report.deadLetters.count
    }
}

/// A component as it stands in a running graph.
public struct ComponentStatistics: Hashable, Sendable {
    public let register: String
    /// Branches that it works for.
    public let users: Int
    public let rows: RowCount
}
