import SluiceCore
import SluiceFormats

/// Makes the tables of one block out of what was read: columns are shared, not copied.
struct BlockAssembler: Sendable {
    let chainID: Int64
    /// The tables that somebody wants.
    let wanted: Set<String>

    /// The wanted tables, in the order of `EthereumTables.all`.
    func tables(of set: BlockSet) -> [Table] {
        EthereumTables.all.compactMap { schema in
            guard wanted.contains(schema.name) else { return nil }
            switch schema.name {
            case EthereumTables.blocks.name: return blocks(set)
            case EthereumTables.transactions.name: return set.transactions.map { transactions($0, receipts: set.receipts, of: set) }
            case EthereumTables.logs.name: return set.logs.map { logs($0, of: set) }
            default: return withdrawals(set)
            }
        }
    }

    private func blocks(_ set: BlockSet) -> Table {
        table(EthereumTables.blocks, rows: 1, set: set) { set.header.column($0) }
    }

    private func withdrawals(_ set: BlockSet) -> Table {
        let part = set.withdrawals
        return table(EthereumTables.withdrawals, rows: part.rowCount, set: set) { name in
            name == "block_number"
                ? .constant(Int64(clamping: set.number), type: .int64, count: part.rowCount)
                : name == "block_hash" ? .constant(set.hash, type: .fixedBytes(32), count: part.rowCount) : part.column(name)
        }
    }

    private func logs(_ part: JSONTable, of set: BlockSet) -> Table {
        table(EthereumTables.logs, rows: part.rowCount, set: set) { part.column($0) }
    }

    /// Receipts stand in the order of their transactions: the check saw to that.
    private func transactions(_ part: JSONTable, receipts: JSONTable?, of set: BlockSet) -> Table {
        table(EthereumTables.transactions, rows: part.rowCount, set: set) { name in
            guard name.hasPrefix("receipt_") else { return part.column(name) }
            guard let receipts else { preconditionFailure("transactions were read without their receipts") }
            return receipts.column(name == "receipt_extra" ? "extra" : String(name.dropFirst("receipt_".count)))
        }
    }

    private func table(_ schema: Schema, rows: Int, set: BlockSet, column: (String) -> Column) -> Table {
        let columns = schema.fields.map { field -> Column in
            switch field.name {
            case "chain_id": .constant(chainID, type: .int64, count: rows)
            case "block_timestamp": .constant(set.timestamp, type: .timestamp, count: rows)
            default: column(field.name)
            }
        }
        return Table(schema: schema, columns: columns, rowCount: rows)
    }
}
