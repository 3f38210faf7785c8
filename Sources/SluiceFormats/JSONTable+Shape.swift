import SluiceCore

extension JSONTable {
    /// The rows of a range.
    public func slice(_ range: Range<Int>) -> JSONTable {
        JSONTable(plan: plan, columns: columns.map { $0.slice(range) }, rowCount: range.count)
    }

    /// No rows.
    public static func empty(_ plan: JSONPlan) -> JSONTable {
        JSONTable(plan: plan, columns: plan.columns.map { ColumnBuilder($0.type).finish() }, rowCount: 0)
    }

    /// Tables of one plan one behind the other; nil when there are none. With `parents` the column of parent rows is rewritten: each
    /// table's parent is the one at its own place.
    public static func concatenated(_ parts: [JSONTable], parents: Bool = false) -> JSONTable? {
        guard let plan = parts.first?.plan else { return nil }
        let columns = plan.columns.indices.map { index -> Column in
            if parents, index == plan.parentColumn {
                var builder = ColumnBuilder(.uint64)
                for (place, part) in parts.enumerated() { for _ in 0..<part.rowCount { builder.append(UInt64(place)) } }
                return builder.finish()
            }
            return Column.concatenated(parts.map { $0.columns[index] })
        }
        return JSONTable(plan: plan, columns: columns, rowCount: parts.reduce(0) { $0 + $1.rowCount })
    }
}
