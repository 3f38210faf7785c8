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
        for index in needs.indices {
            let name = needs[index].table
            // Several needs may be of one table.
            if index > 0, needs[..<index].contains(where: { $0.table == name }) { continue }
            self.in += batch.rowCount(of: name)
        }
        for index in tables.indices { out += tables[index].rowCount }
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
