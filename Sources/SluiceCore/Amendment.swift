extension SluiceError.Code {
    /// Rows are to be added to a block that a store does not hold.
    public static let blockNotHeld = SluiceError.Code("block_not_held")
    /// Rows are to be added to a block, but a store holds another one of that number.
    public static let blockDiffers = SluiceError.Code("block_differs")
    /// Rows are to be added to a block in a store that cannot do that.
    public static let amendUnsupported = SluiceError.Code("amend_unsupported")
}

/// What is to be in one table at some places of one block: of its logs 17 and 21, for instance, these rows and no others.
///
/// It says what is there in the end, not what is to be added, so that it may be done twice.
public struct Amendment: Sendable {
    public let chainID: UInt64
    public let block: BlockRef
    /// Seconds since 1970 of the block.
    public let timestamp: UInt64
    /// The column that tells the places: `log_index` or `transaction_index`. The table has it, without nulls.
    public let column: String
    /// One at least.
    public let places: Set<UInt64>
    /// All of this block and these places; none when there is to be nothing.
    public let rows: Table

    public init(chainID: UInt64, block: BlockRef, timestamp: UInt64, column: String, places: Set<UInt64>, rows: Table) {
        precondition(!places.isEmpty, "an amendment of nothing")
        self.chainID = chainID
        self.block = block
        self.timestamp = timestamp
        self.column = column
        self.places = places
        self.rows = rows
    }

    /// Whether a row that a store refuses is one of its own.
    public func brings(_ refused: RefusedRow) -> Bool {
        refused.block == block && refused.table == rows.schema.name && (0..<rows.rowCount).contains { rows.rowName($0) == refused.row }
    }

    /// The same without rows that a store refuses: at their places there is to be nothing.
    public func without(_ refused: [RefusedRow]) -> Amendment {
        let names = Set(refused.filter { $0.block == block && $0.table == rows.schema.name }.map(\.row))
        guard !names.isEmpty else { return self }
        let kept = (0..<rows.rowCount).filter { !names.contains(rows.rowName($0)) }
        return Amendment(
            chainID: chainID, block: block, timestamp: timestamp, column: column, places: places, rows: rows.rows(kept))
    }
}

extension Schema {
    /// The name of the column that holds the block's hash of a row; nil when there is none.
    public var blockHashField: String? {
        let name = blockNumberField == "number" ? "hash" : "block_hash"
        return fields.contains { $0.name == name && $0.type == .fixedBytes(32) && !$0.nullable } ? name : nil
    }
}

extension Batch {
    /// The batch with the rows of an amendment in the place of what it has there; nil when it does not hold that very block.
    public func amended(by amendment: Amendment) -> Batch? {
        let number = amendment.block.number
        guard span.first <= number, number <= span.last.number, span.hash(number) == amendment.block.hash else { return nil }
        var tables = tables
        if let index = tables.firstIndex(where: { $0.schema.name == amendment.rows.schema.name }) {
            tables[index] = tables[index].amended(by: amendment)
        } else {
            tables.append(amendment.rows)
        }
        return Batch(chainID: chainID, span: span, tables: tables)
    }
}

extension Table {
    /// The table with the rows of an amendment in the place of what it has there. Rows stay in the order of blocks, and in the order of
    /// places within the block.
    fileprivate func amended(by amendment: Amendment) -> Table {
        let rows = amendment.rows
        guard let numbers = schema.blockNumberField.flatMap(column), let own = column(amendment.column),
            let news = rows.column(amendment.column)
        else { return self }
        let number = amendment.block.number
        var order: [Int] = []
        var next = 0
        func insert(through place: UInt64) {
            while next < rows.rowCount, news.load(next, as: UInt64.self) <= place {
                order.append(rowCount + next)
                next += 1
            }
        }
        for row in 0..<rowCount {
            let block: UInt64 = numbers.load(row)
            if block == number {
                let place: UInt64 = own.load(row)
                if amendment.places.contains(place) { continue }
                insert(through: place)
            } else if block > number {
                insert(through: .max)
            }
            order.append(row)
        }
        insert(through: .max)
        let all = Table.concatenated([self, rows])
        return Table(schema: schema, columns: all.columns.map { $0.rows(order) }, rowCount: order.count)
    }
}
