import Glibc
import SluiceCore

/// Turns rows into lines. Pure.
struct LineEncoder {
    /// Whether the server takes unsigned numbers (`12u`); else those that signed ones cannot hold become text.
    let hasUnsigned: Bool
    /// Whether large numbers stand as doubles, too.
    let addsFloats: Bool

    /// A row that cannot be a point, and why.
    struct Misfit: Sendable, Hashable {
        let row: Int
        let reason: String
    }

    /// Appends rows from `row` on until all are written or the buffer holds `maxLines` lines or `maxBytes` bytes. Returns the next row. Rows that
    /// would be no point, or one with another row, are left out and noted.
    /// - Throws: `sinkOrder` when a row is of none of the span's blocks.
    func encode(
        _ table: Table, from row: Int, _ plan: LineTable, _ span: Span, into buffer: inout LineBuffer, maxLines: Int, maxBytes: Int,
        misfits: inout [Misfit]
    ) throws(SluiceError) -> Int {
        buffer.begin(table, span, row: row)
        let memory = LineMemory(plan, table)
        defer { memory.free() }
        let tables = LineText.tables
        let numbers = table.columns[plan.number]
        let places = plan.place.map { table.columns[$0] }
        var block = UInt64.max
        var start: Int64?
        var seen: [Int: UInt64] = [:]
        var row = row
        while row < table.rowCount, buffer.lines < maxLines, buffer.count < maxBytes {
            let number = numbers.load(row, as: UInt64.self)
            if number != block {
                guard number >= span.first, number - span.first < UInt64(span.count) else {
                    throw SluiceError(
                        .sinkOrder, .fatal,
                        "a row of \(table.schema.name) is of block \(number), outside of its batch \(span.first)...\(span.last.number)")
                }
                start = LineTable.start(of: number, at: span.block(Int(number - span.first)).timestamp)
                block = number
                seen = [:]
            }
            guard let start else {
                misfits.append(Misfit(row: row, reason: LineTable.noTime))
                row += 1
                buffer.begin(table, span, row: row)
                continue
            }
            let begin = buffer.reserve(memory.room(row))
            var at = begin
            LineText.short(memory.head, memory.headCount, &at)
            for view in memory.tags where !view.isNull(row) {
                LineText.short(view.key, view.keyCount, &at)
                Self.tag(view, row, tables, &at)
            }
            var offset: Int64 = 0
            if let places {
                let place = places.load(row, as: UInt64.self)
                offset = Int64(place % UInt64(LineTable.slot))
                if place >= UInt64(LineTable.slot) {
                    // Numbers over the whole chain: those of one block lie side by side, or the row must be refused.
                    var hasher = Hasher()
                    hasher.combine(bytes: UnsafeRawBufferPointer(start: begin, count: at - begin))
                    hasher.combine(offset)
                    if let other = seen.updateValue(place, forKey: hasher.finalize()), other != place {
                        misfits.append(Misfit(row: row, reason: "it would be one point with row \(other): a block has a million places"))
                        row += 1
                        buffer.begin(table, span, row: row)
                        continue
                    }
                }
            }
            // Each field begins with a comma; before the first there is a space in its place. The block's number is always there.
            let fields = at
            for view in memory.fields where !view.isNull(row) { field(view, row, tables, &at) }
            fields.pointee = 0x20
            LineText.byte(0x20, &at)
            LineText.decimal(start + offset, tables, &at)
            LineText.byte(0x0A, &at)
            buffer.commit(at)
            row += 1
        }
        return row
    }

    private static func tag(_ view: LineMemory.View, _ row: Int, _ tables: LineText.Tables, _ at: inout LineText.Target) {
        switch view.kind {
        case .bool: LineText.ascii(view.values[row] != 0 ? "true" : "false", &at)
        case .signed: LineText.decimal(view.load(row, Int64.self), tables, &at)
        case .unsigned: LineText.decimal(view.load(row, UInt64.self), tables, &at)
        case .double: LineText.ascii(view.load(row, Double.self).description, &at)
        case .decimal: LineText.ascii(view.load(row, Int128.self).description, &at)
        case .uint256: LineText.ascii(view.load(row, UInt256.self).description, &at)
        case .text:
            let (bytes, count) = view.slice(row)
            LineText.name(bytes, count, &at)
        case .bytes:
            let (bytes, count) = view.slice(row)
            LineText.hex(bytes, count, tables, &at)
        }
    }

    /// A key and its value. Keys end with their equals sign; those of texts with the quote behind it.
    @inline(__always)
    private func field(_ view: LineMemory.View, _ row: Int, _ tables: LineText.Tables, _ at: inout LineText.Target) {
        switch view.kind {
        case .bool:
            LineText.short(view.key, view.keyCount, &at)
            LineText.byte(view.values[row] != 0 ? 0x74 : 0x66, &at)
        case .signed:
            LineText.short(view.key, view.keyCount, &at)
            LineText.decimal(view.load(row, Int64.self), tables, &at)
            LineText.byte(0x69, &at)
        case .unsigned:
            let value = view.load(row, UInt64.self)
            guard hasUnsigned || value <= UInt64(Int64.max) else { return Self.text("\(value)", view, &at) }
            LineText.short(view.key, view.keyCount, &at)
            LineText.decimal(value, tables, &at)
            LineText.byte(hasUnsigned ? 0x75 : 0x69, &at)
        case .double: Self.double(view, view.load(row, Double.self), &at)
        case .decimal:
            let value = view.load(row, Int128.self)
            guard let small = Int64(exactly: value) else { return large(value.description, view, &at) }
            amount(view, small.magnitude, isNegative: small < 0, tables, &at)
        case .uint256:
            let value = view.load(row, UInt256.self)
            guard value.high == 0, let small = UInt64(exactly: value.low) else { return large(value.description, view, &at) }
            amount(view, small, isNegative: false, tables, &at)
        case .text:
            let (bytes, count) = view.slice(row)
            LineText.short(view.key, view.keyCount, &at)
            LineText.quoted(bytes, count, &at)
            LineText.byte(0x22, &at)
        case .bytes:
            let (bytes, count) = view.slice(row)
            LineText.short(view.key, view.keyCount, &at)
            LineText.hex(bytes, count, tables, &at)
            LineText.byte(0x22, &at)
        }
    }

    private static func double(_ view: LineMemory.View, _ value: Double, _ at: inout LineText.Target) {
        guard value.isFinite else { return text(value.description, view, &at) }
        LineText.short(view.key, view.keyCount, &at)
        LineText.ascii(value.description, &at)
    }

    /// A number that its own field cannot hold.
    private static func text(_ text: String, _ view: LineMemory.View, _ at: inout LineText.Target) {
        LineText.short(view.otherKey, view.otherKeyCount, &at)
        LineText.ascii(text, &at)
        LineText.byte(0x22, &at)
    }

    /// An amount as text, and when that is asked for as a double: the server reads the digits, and rounds them right. Most fit a word.
    @inline(__always)
    private func amount(
        _ view: LineMemory.View, _ value: UInt64, isNegative: Bool, _ tables: LineText.Tables, _ at: inout LineText.Target
    ) {
        LineText.short(view.key, view.keyCount, &at)
        if isNegative { LineText.byte(0x2D, &at) }
        LineText.decimal(value, tables, &at)
        LineText.byte(0x22, &at)
        guard addsFloats else { return }
        LineText.short(view.otherKey, view.otherKeyCount, &at)
        if isNegative { LineText.byte(0x2D, &at) }
        LineText.decimal(value, tables, &at)
    }

    private func large(_ digits: String, _ view: LineMemory.View, _ at: inout LineText.Target) {
        LineText.short(view.key, view.keyCount, &at)
        LineText.ascii(digits, &at)
        LineText.byte(0x22, &at)
        guard addsFloats else { return }
        LineText.short(view.otherKey, view.otherKeyCount, &at)
        LineText.ascii(digits, &at)
    }
}
