extension Column {
    /// A column of `count` equal values of fixed width.
    public static func constant<T: BitwiseCopyable>(_ value: T, type: LogicalType, count: Int) -> Column {
        precondition(MemoryLayout<T>.size == type.width, "a value of another width than the column's")
        let values = Buffer(count: count * MemoryLayout<T>.size) { target in
            for row in 0..<count { target.storeBytes(of: value, toByteOffset: row * MemoryLayout<T>.size, as: T.self) }
        }
        return Column(type: type, count: count, nullCount: 0, values: values, offsets: nil, validity: nil)
    }

    /// A column of `count` nulls.
    public static func nulls(_ type: LogicalType, count: Int) -> Column {
        func zeros(_ size: Int) -> Buffer { Buffer(count: size) { $0.initializeMemory(as: UInt8.self, repeating: 0) } }
        return Column(
            type: type, count: count, nullCount: count, values: zeros((type.width ?? 0) * count),
            offsets: type.width == nil ? zeros((count + 1) * 4) : nil, validity: zeros((count + 7) / 8))
    }

    /// The columns one behind the other. All must be of the same type, and there must be one at least. One alone is returned as it is.
    public static func concatenated(_ parts: [Column]) -> Column {
        let type = parts[0].type
        if parts.count == 1 { return parts[0] }
        let count = parts.reduce(0) { $0 + $1.count }
        let nullCount = parts.reduce(0) { $0 + $1.nullCount }
        var offsets: Buffer?
        if type.width == nil {
            offsets = Buffer(count: (count + 1) * 4) { target in
                let out = target.bindMemory(to: Int32.self)
                var at = 0
                var base: Int32 = 0
                out[0] = 0
                for part in parts {
                    guard let source = part.offsets?.bytes.assumingMemoryBound(to: Int32.self) else { continue }
                    for row in 0..<part.count { out[at + row + 1] = base + source[row + 1] }
                    at += part.count
                    base += source[part.count]
                }
            }
        }
        let sizes = parts.map { part in type.width.map { $0 * part.count } ?? part.variableByteCount }
        let values = Buffer(count: sizes.reduce(0, +)) { target in
            var at = 0
            for (part, size) in zip(parts, sizes) where size > 0 {
                UnsafeMutableRawBufferPointer(rebasing: target[at..<at + size])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: part.values.bytes[..<size]))
                at += size
            }
        }
        var validity: Buffer?
        if nullCount > 0 {
            validity = Buffer(count: (count + 7) / 8) { target in
                target.initializeMemory(as: UInt8.self, repeating: 0)
                var at = 0
                for part in parts {
                    for row in 0..<part.count where !part.isNull(row) { target[(at + row) >> 3] |= 1 << UInt8((at + row) & 7) }
                    at += part.count
                }
            }
        }
        return Column(type: type, count: count, nullCount: nullCount, values: values, offsets: offsets, validity: validity)
    }

    /// Bytes in use by the values of a column of variable length.
    private var variableByteCount: Int {
        offsets.map { Int($0.bytes.loadUnaligned(fromByteOffset: count * 4, as: Int32.self)) } ?? 0
    }

    /// The rows of a range, copied.
    public func slice(_ range: Range<Int>) -> Column {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "a slice outside of the column")
        if range == 0..<count { return self }
        var nulls = 0
        var validity: Buffer?
        if self.validity != nil {
            validity = Buffer(count: (range.count + 7) / 8) { target in
                target.initializeMemory(as: UInt8.self, repeating: 0)
                for row in range {
                    if isNull(row) { nulls += 1 } else { target[(row - range.lowerBound) >> 3] |= 1 << UInt8((row - range.lowerBound) & 7) }
                }
            }
        }
        if let width = type.width {
            let bytes = UnsafeRawBufferPointer(rebasing: values.bytes[range.lowerBound * width..<range.upperBound * width])
            return Column(
                type: type, count: range.count, nullCount: nulls, values: Buffer(copying: bytes), offsets: nil, validity: validity)
        }
        let ends = (offsets?.bytes ?? UnsafeRawBufferPointer(start: nil, count: 0)).assumingMemoryBound(to: Int32.self)
        let base = ends[range.lowerBound]
        let bytes = UnsafeRawBufferPointer(rebasing: values.bytes[Int(base)..<Int(ends[range.upperBound])])
        let shifted = Buffer(count: (range.count + 1) * 4) { target in
            let out = target.bindMemory(to: Int32.self)
            for index in 0...range.count { out[index] = ends[range.lowerBound + index] - base }
        }
        return Column(
            type: type, count: range.count, nullCount: nulls, values: Buffer(copying: bytes), offsets: shifted, validity: validity)
    }

    /// The given rows, in the given order.
    public func rows(_ rows: [Int]) -> Column {
        guard let width = type.width, nullCount == 0 else {
            var builder = ColumnBuilder(type, capacity: rows.count)
            for row in rows { builder.append(row, of: self) }
            return builder.finish()
        }
        let gathered = Buffer(count: rows.count * width) { target in
            guard let to = target.baseAddress, let from = values.bytes.baseAddress else { return }
            var at = 0
            for row in rows {
                (to + at).copyMemory(from: from + row * width, byteCount: width)
                at += width
            }
        }
        return Column(type: type, count: rows.count, nullCount: 0, values: gathered, offsets: nil, validity: nil)
    }
}

extension Table {
    /// The tables one behind the other: all of the same schema, and one at least.
    public static func concatenated(_ parts: [Table]) -> Table {
        if parts.count == 1 { return parts[0] }
        let columns = parts[0].columns.indices.map { index in Column.concatenated(parts.map { $0.columns[index] }) }
        return Table(schema: parts[0].schema, columns: columns, rowCount: parts.reduce(0) { $0 + $1.rowCount })
    }

    /// The rows of a range.
    public func slice(_ range: Range<Int>) -> Table {
        Table(schema: schema, columns: columns.map { $0.slice(range) }, rowCount: range.count)
    }
}

extension Schema {
    /// The name of the column that holds the block number of a row: what a rollback goes by. It is `bundle_number` in what an aggregator
    /// makes, whatever block numbers stand beside it, else `block_number`, in a table of blocks `number`, in one of records
    /// `record_offset`. Nil when there is none that is a whole number and never null.
    public var blockNumberField: String? {
        ["bundle_number", "block_number", "number", "record_offset"].first { name in
            fields.contains { $0.name == name && ($0.type == .int64 || $0.type == .uint64) && !$0.nullable }
        }
    }
}

extension Table {
    /// Nil when all is well: no null where the schema allows none. Otherwise the field at fault.
    public var unexpectedNull: String? {
        zip(schema.fields, columns).first { !$0.nullable && $1.nullCount > 0 }?.0.name
    }

    /// The rows of blocks up to `number` (they stand first: rows are ordered by block).
    public func through(block number: UInt64) -> Table {
        guard let field = schema.blockNumberField, let column = column(field) else { return self }
        var kept = 0
        while kept < rowCount, column.load(kept, as: Int64.self) <= Int64(clamping: number) { kept += 1 }
        return slice(0..<kept)
    }

    /// The rows of blocks behind `number`.
    public func behind(block number: UInt64) -> Table { slice(through(block: number).rowCount..<rowCount) }
}

extension Batch {
    /// The part of the batch behind a block, which must lie in its span and not be its last.
    public func behind(block number: UInt64) -> Batch {
        Batch(chainID: chainID, span: span.behind(number), tables: tables.map { $0.behind(block: number) })
    }

    /// The part of the batch up to a block, which must lie in its span.
    public func through(block number: UInt64) -> Batch {
        Batch(chainID: chainID, span: span.through(number), tables: tables.map { $0.through(block: number) })
    }
}
