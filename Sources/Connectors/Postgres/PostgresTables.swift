import SluiceCore

/// What the sink's tables are like in PostgreSQL. Pure.
enum PostgresTables {
    static func type(_ type: LogicalType) -> String {
        switch type {
        case .bool: "boolean"
        case .int64: "bigint"
        case .uint64: "numeric(20,0)"
        case .float64: "double precision"
        case .decimal: "numeric(38,0)"
        case .uint256: "numeric(78,0)"
        case .timestamp: "timestamp with time zone"
        case .string: "text"
        case .bytes, .fixedBytes: "bytea"
        // Text that is checked: jsonb would lose the order of members, doubled ones, and numbers as they were written.
        case .json: "json"
        }
    }

    static func column(_ field: Field) -> String {
        "\(PostgresConnection.quoted(field.name)) \(type(field.type))" + (field.nullable ? "" : " NOT NULL")
    }

    static func name(_ table: Schema, in schema: String) -> String {
        PostgresConnection.quoted(schema) + "." + PostgresConnection.quoted(table.name)
    }

    /// A name made of a table's, for what belongs to it. Long ones are cut, by whole characters, and told apart by a sum of their letters: the server
    /// would cut them at their end.
    static func name(_ table: String, with suffix: String) -> String {
        let room = 63 - suffix.utf8.count
        guard table.utf8.count > room else { return table + suffix }
        let sum = table.utf8.reduce(UInt32(5381)) { $0 &* 33 &+ UInt32($1) }
        let mark = "_" + String(sum, radix: 16)
        var start = table[...]
        while start.utf8.count > room - mark.utf8.count { start = start.dropLast() }
        return start + mark + suffix
    }

    static func columns(_ table: Schema) -> String { table.fields.map { PostgresConnection.quoted($0.name) }.joined(separator: ", ") }

    /// What tells rows apart; where a table is cut by time, the server wants that in it.
    static func key(_ table: Schema, cutBy time: String?) -> [String] {
        table.key + (time.map { table.key.contains($0) ? [] : [$0] } ?? [])
    }

    /// The table, its key, and the index by which blocks are undone.
    /// - Parameters:
    ///   - time: the column by which it is cut; nil: it is not.
    ///   - isPartitioned: whether it is so by PostgreSQL itself.
    static func creation(_ table: Schema, in schema: String, block: String, cutBy time: String? = nil, isPartitioned: Bool = false)
        -> [String]
    {
        let name = name(table, in: schema)
        let key = key(table, cutBy: time).map(PostgresConnection.quoted).joined(separator: ", ")
        let cut = isPartitioned ? time.map { " PARTITION BY RANGE (\(PostgresConnection.quoted($0)))" } ?? "" : ""
        var statements = [
            "CREATE TABLE \(name) (\(table.fields.map(column).joined(separator: ", ")), PRIMARY KEY (\(key)))\(cut)"
        ]
        statements.append(
            "CREATE INDEX \(PostgresConnection.quoted(self.name(table.name, with: "_by_block"))) ON \(name) "
                + "USING brin (\(PostgresConnection.quoted(block))) WITH (pages_per_range = 16, autosummarize = on)")
        return statements
    }

    /// Rows of a temporary table into the table that they belong to: each key once, in the order of the key, the newer row for the older.
    static func merge(_ table: Schema, in schema: String, from temporary: String, cutBy time: String? = nil) -> String {
        let names = key(table, cutBy: time)
        let key = names.map(PostgresConnection.quoted).joined(separator: ", ")
        let rest = table.fields.map(\.name).filter { !names.contains($0) }.map(PostgresConnection.quoted)
        let action = rest.isEmpty ? "NOTHING" : "UPDATE SET " + rest.map { "\($0) = excluded.\($0)" }.joined(separator: ", ")
        let columns = columns(table)
        return
            "INSERT INTO \(name(table, in: schema)) (\(columns)) SELECT DISTINCT ON (\(key)) \(columns) FROM \(temporary) ORDER BY \(key) "
            + "ON CONFLICT (\(key)) DO \(action)"
    }
}
