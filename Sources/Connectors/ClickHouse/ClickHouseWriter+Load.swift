import SluiceCore
import SluiceFormats
import SluiceNet

// Rows on their way into tables.
extension ClickHouseWriter {
    /// Inserts what is held of each table, all at once: while the server takes one, the next is encoded here. Returns the rows that are refused.
    /// - Parameter blocks: by what the rows are known.
    func load(_ blocks: String) async throws -> [RefusedRow] {
        if loaded.blocks != blocks { loaded = (blocks, []) }
        let open = layouts.filter { !loaded.tables.contains($0.schema.name) }
        let answers = try await withThrowingTaskGroup(of: (String, [RowSearch.Found]).self) { group in
            for layout in open {
                let name = layout.schema.name
                let parts = held.compactMap { $0.table(name) }.filter { $0.rowCount > 0 }
                if parts.isEmpty { continue }
                let insert = insert(
                    into: layout, token: "\(id)/\(name)/\(blocks)/\(ledger.generation)",
                    Self.constants(version: ledger.generation, isDeleted: false))
                let body = insert.encode(parts)
                group.addTask { (name, try await insert.load(parts, body)) }
            }
            var answers: [String: [RowSearch.Found]] = [:]
            for try await (name, found) in group { answers[name] = found }
            return answers
        }
        loaded.tables.formUnion(open.map(\.schema.name))
        return open.flatMap { release(answers[$0.schema.name] ?? [], of: $0.schema.name) }
    }

    /// Takes rows out of what is held, and says which they are.
    /// - Parameter found: by their place among all rows that are held of the table.
    private func release(_ found: [RowSearch.Found], of name: String) -> [RefusedRow] {
        if found.isEmpty { return [] }
        var refused: [RefusedRow] = []
        var rest = found[...]
        var start = 0
        hold(
            held.map { batch in
                guard let table = batch.table(name) else { return batch }
                defer { start += table.rowCount }
                let own = rest.prefix { $0.row < start + table.rowCount }
                rest = rest.dropFirst(own.count)
                refused += own.map {
                    RefusedRow(table, $0.row - start, of: batch.span, reason: .clickhouseRow, message: $0.reason)
                }
                return batch.without([name: Set(own.map { $0.row - start })])
            })
        return refused
    }

    /// An insert of rows. What fails in passing is tried again with the same token, by which a server that has done it knows it.
    func insert(into layout: ClickHouseLayout, token: String, _ constants: [NativeBlock.Constant]) -> ClickHouseInsert {
        ClickHouseInsert(
            connection: connection, time: time, gate: gate, layout: layout, constants: constants,
            sql: "\(tables.insertion(layout.schema)) FORMAT Native", settings: tables.server.insertSettings,
            token: tables.server.hasTokens ? token : nil, mark: nextMark())
    }
}
