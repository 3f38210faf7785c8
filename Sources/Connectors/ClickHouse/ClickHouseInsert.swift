import SluiceCore
import SluiceFormats
import SluiceNet

/// One insert of a table's rows, and the same again when it failed in passing. Several may be under way at once: none depends on another's order.
struct ClickHouseInsert: Sendable {
    let connection: ClickHouseConnection
    let time: TimeSource
    let gate: RequestGate
    let layout: ClickHouseLayout
    /// What all rows have in common.
    let constants: [NativeBlock.Constant]
    /// `INSERT INTO ... (...) FORMAT Native`
    let sql: String
    let settings: [(String, String)]
    /// By which a server that has done it knows it; nil where the server has no such tokens.
    let token: String?
    /// What the server knows its requests by; each puts a number behind it.
    let mark: String

    func encode(_ parts: [Table]) -> Buffer { NativeBlock.buffer(parts, as: layout.targets, constants: constants) }

    /// Inserts rows, of which `body` is the whole. Those that the server refuses for what they hold are searched for, and all others go in.
    /// Returns them by their place among all rows, in order.
    func load(_ parts: [Table], _ body: Buffer) async throws -> [RowSearch.Found] {
        var requests = 0
        do {
            try await send(body, token, &requests)
            return []
        } catch let refusal as ClickHouseRefusal {
            guard refusal.isOfRows else { throw refusal.error }
            return try await search(Table.concatenated(parts), refusal, &requests)
        }
    }

    /// Inserts what cannot be parted.
    /// - Throws: `ClickHouseRefusal`.
    func load(_ body: Buffer) async throws {
        var requests = 0
        try await send(body, token, &requests)
    }

    /// Finds the rows that the server refuses, by halves; all others go in.
    func search(_ table: Table, _ first: ClickHouseRefusal) async throws -> [RowSearch.Found] {
        var requests = 0
        return try await search(table, first, &requests)
    }

    private func search(_ table: Table, _ first: ClickHouseRefusal, _ requests: inout Int) async throws -> [RowSearch.Found] {
        var search = RowSearch(refused: table.rowCount, reason: first.reason)
        while let rows = search.next() {
            do {
                try await send(
                    encode([table.slice(rows)]),
                    token.flatMap { $0.isEmpty ? nil : $0 }.map { "\($0)/\(rows.lowerBound)-\(rows.upperBound)" }, &requests)
                search.taken()
            } catch let refusal as ClickHouseRefusal {
                guard refusal.isOfRows else { throw refusal.error }
                search.refused(rows, reason: refusal.reason)
            }
        }
        guard search.isHopeless else { return search.found }
        throw SluiceError(
            first.error.code, .pause, "\(first.error.message), and \(search.found.count - 1) rows more at least",
            mend: "so many rows are not refused for what they hold: see what the table, its constraints and the views over it expect")
    }

    /// Returns when the server has acknowledged all rows.
    /// - Throws: `ClickHouseRefusal` when there is no use in trying again.
    private func send(_ body: Buffer, _ token: String?, _ requests: inout Int) async throws {
        var delays = connection.options.retries[...]
        while true {
            requests += 1
            var own = settings
            if let token { own.append((ClickHouseServer.token, token)) }
            own.append(("query_id", "\(mark).\(requests)"))
            let all = own
            do {
                return try await gate.run(isCongestion: Self.isCongestion) {
                    try await connection.insert(sql, body, all, doing: "loading \(layout.schema.name)")
                }
            } catch let refusal as ClickHouseRefusal {
                guard refusal.error.class == .retry, let delay = delays.popFirst() else { throw refusal }
                try await time.sleep(max(delay, refusal.wait ?? .zero))
            }
        }
    }

    private static func isCongestion(_ error: any Error) -> Bool { (error as? ClickHouseRefusal)?.error.class == .retry }
}
