import SluiceCore

/// Tables of every logical type, of every layout that a column can have.
struct RandomTables {
    static let types: [LogicalType] = [
        .bool, .int64, .uint64, .float64, .decimal, .uint256, .timestamp, .string, .bytes, .fixedBytes(20), .fixedBytes(32), .fixedBytes(1),
        .fixedBytes(0), .json,
    ]

    private var random: SeededRandom

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

    mutating func hash() -> Hash32 { Hash32((0..<32).map { _ in UInt8(truncatingIfNeeded: random.next()) }) ?? .zero }

    /// A batch, or now and then one of the other messages.
    mutating func transit() -> Transit {
        switch number(0...9) {
        case 0: .rollback(to: Position(number: random.next(), hash: hash()))
        case 1: .finalized(random.next())
        default: .batch(batch())
        }
    }

    mutating func batch() -> Batch {
        let blocks = (0..<number(1...4)).map { _ in BlockStamp(hash: hash(), timestamp: random.next()) }
        let first = number(0...3) == 0 ? UInt64.max - UInt64(blocks.count - 1) : random.next() >> 8
        var tables: [Table] = []
        for index in 0..<number(0...3) { tables.append(table("table_\(index)")) }
        return Batch(chainID: random.next(), span: Span(first: first, parentHash: hash(), blocks: blocks), tables: tables)
    }

    mutating func table(_ name: String) -> Table {
        let rows = number(0...2) == 0 ? number(0...1) : number(0...70)
        var fields: [Field] = []
        var columns: [Column] = []
        for index in 0..<number(0...8) {
            let type = Self.types[number(0...Self.types.count - 1)]
            let content: Field.Content = [.varied, .repeating, .patterned][number(0...2)]
            let doc = index % 2 == 0 ? "" : "größe \(index)"
            fields.append(Field("field_\(index)", type, nullable: number(0...1) == 1, content: content, doc))
            columns.append(column(type, rows: rows))
        }
        let key = fields.prefix(number(0...2)).map(\.name)
        return Table(schema: Schema(name: name, key: key, doc: "a table 🐟", fields: fields), columns: columns, rowCount: rows)
    }

    mutating func column(_ type: LogicalType, rows: Int) -> Column {
        switch number(0...5) {
        case 0: return .nulls(type, count: rows)
        case 1 where type.width == 8: return .constant(random.next(), type: type, count: rows)
        case 1 where type == .bool: return .constant(UInt8(1), type: type, count: rows)
        case 2:
            // Part of a larger one.
            let before = number(0...9)
            return built(type, rows: before + rows + number(0...9), nulls: 3).slice(before..<before + rows)
        case 3:
            let parts = [built(type, rows: rows / 2, nulls: 2), .nulls(type, count: 0), built(type, rows: rows - rows / 2, nulls: 0)]
            return .concatenated(parts)
        case 4: return roomy(built(type, rows: rows, nulls: 4))
        default: return built(type, rows: rows, nulls: number(0...2))
        }
    }

    /// Every `nulls`-th row null, at random; none for 0.
    private mutating func built(_ type: LogicalType, rows: Int, nulls: Int) -> Column {
        var builder = ColumnBuilder(type)
        for _ in 0..<rows {
            if nulls > 0, number(0...nulls) == 0 {
                builder.appendNull()
            } else {
                let count = type.width ?? number(0...3) * number(0...20)
                builder.append(bytes: (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) })
            }
        }
        return builder.finish()
    }

    /// The same in buffers that are larger than the rows need, as decoders leave them.
    private func roomy(_ column: Column) -> Column {
        func wider(_ buffer: Buffer) -> Buffer { Buffer(copying: Array(buffer.bytes) + [UInt8](repeating: 0xAA, count: 24)) }
        return Column(
            type: column.type, count: column.count, nullCount: column.nullCount, values: wider(column.values),
            offsets: column.offsets.map(wider), validity: column.validity.map(wider))
    }
}

/// What a transit says, with every bit that a reader may look at; two are equal when these are.
func facts(_ transit: Transit) -> [UInt8] {
    guard case .batch(let batch) = transit else { return Array("\(transit)".utf8) }
    var facts = Array("\(batch.chainID) \(batch.span)".utf8)
    for table in batch.tables {
        facts += Array("\(table.schema) \(table.rowCount)".utf8)
        for column in table.columns {
            facts += Array("\(column.type) \(column.count) \(column.nullCount) \(column.offsets == nil) \(column.validity == nil)".utf8)
            // Null rows too: what lies in them is as it was.
            for row in 0..<column.count {
                let bytes = column.bytes(row)
                facts += [column.isNull(row) ? 1 : 0, UInt8(bytes.count & 255)]
                facts += bytes
            }
        }
    }
    return facts
}
