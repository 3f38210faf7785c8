import Glibc
import SluiceCore

/// Turns rows into lines. Pure.
struct LineEncoder {
    /// Whether the server takes unsigned numbers (`12u`); else those that signed ones cannot hold become text.
    let hasUnsigned: Bool
    /// Whether large numbers stand as doubles, too.
    let addsFloats: Bool

    /// A column as it lies in memory.
    private struct View {
        let type: LogicalType
        let values: UnsafePointer<UInt8>
        let offsets: UnsafePointer<Int32>?
        let validity: UnsafePointer<UInt8>?
        let key: UnsafeBufferPointer<UInt8>
        let textKey: UnsafeBufferPointer<UInt8>
        let floatKey: UnsafeBufferPointer<UInt8>

        @inline(__always)
        func isNull(_ row: Int) -> Bool { validity.map { $0[row >> 3] & (1 << UInt8(row & 7)) == 0 } ?? false }

        @inline(__always)
        func load<T: BitwiseCopyable>(_ row: Int, _ type: T.Type) -> T {
            UnsafeRawPointer(values).loadUnaligned(fromByteOffset: row * MemoryLayout<T>.size, as: type)
        }

        /// The bytes of a value of any length, or of the fixed width of `bytes`.
        @inline(__always)
        func slice(_ row: Int) -> (UnsafePointer<UInt8>, Int) {
            if let offsets { return (values + Int(offsets[row]), Int(offsets[row + 1] - offsets[row])) }
            let width = type.width ?? 0
            return (values + row * width, width)
        }
    }

    /// Appends rows from `row` on until all are written or the buffer holds `maxLines` lines or `maxBytes` bytes. Returns the next row.
    /// - Throws: `influxdb_time` (class `data`) when two rows would be one point.
    func encode(
        _ table: Table, from row: Int, _ plan: LineTable, _ span: Span, into buffer: inout LineBuffer, maxLines: Int, maxBytes: Int
    ) throws(SluiceError) -> Int {
        buffer.begin(table, row: row)
        var keys = KeyMemory(plan)
        defer { keys.free() }
        let tags = plan.tags.enumerated().map { keys.view(table.columns[$1.index], tag: $0) }
        let fields = plan.fields.enumerated().map { keys.view(table.columns[$1.index], field: $0) }
        let (pairs, hexes) = (LineText.decimalPairs, LineText.hexPairs)
        let fixed = keys.fixedBytes
        let numbers = table.columns[plan.number]
        let places = plan.place.map { table.columns[$0] }
        var block = UInt64.max
        var start: Int64 = 0
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
                start = try LineTable.start(of: number, at: span.block(Int(number - span.first)).timestamp)
                block = number
                seen = [:]
            }
            var room = fixed
            for view in tags where view.offsets != nil { room += view.slice(row).1 * 3 }
            for view in fields where view.offsets != nil { room += view.slice(row).1 * 2 }
            let begin = buffer.reserve(room)
            var at = begin
            LineText.copy(keys.head, keys.headCount, &at)
            for view in tags where !view.isNull(row) {
                LineText.byte(0x2C, &at)
                LineText.copy(view.key.baseAddress ?? keys.head, view.key.count, &at)
                Self.tag(view, row, pairs, hexes, &at)
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
                        throw SluiceError(
                            .influxTime, .data,
                            "rows \(other) and \(place) of \(table.schema.name) in block \(number) would be one point of InfluxDB: a block has a million places"
                        )
                    }
                }
            }
            var separator: UInt8 = 0x20
            for view in fields where !view.isNull(row) {
                LineText.byte(separator, &at)
                separator = 0x2C
                field(view, row, pairs, hexes, &at)
            }
            LineText.byte(0x20, &at)
            LineText.decimal(start + offset, pairs, &at)
            LineText.byte(0x0A, &at)
            buffer.commit(at)
            row += 1
        }
        return row
    }

    private static func tag(
        _ view: View, _ row: Int, _ pairs: UnsafePointer<UInt16>, _ hexes: UnsafePointer<UInt16>, _ at: inout LineText.Target
    ) {
        switch view.type {
        case .bool: LineText.ascii(view.values[row] != 0 ? "true" : "false", &at)
        case .int64, .timestamp: LineText.decimal(view.load(row, Int64.self), pairs, &at)
        case .uint64: LineText.decimal(view.load(row, UInt64.self), pairs, &at)
        case .float64: LineText.ascii(view.load(row, Double.self).description, &at)
        case .decimal: LineText.ascii(view.load(row, Int128.self).description, &at)
        case .uint256: LineText.ascii(view.load(row, UInt256.self).description, &at)
        case .string, .json:
            let (bytes, count) = view.slice(row)
            LineText.name(bytes, count, &at)
        case .bytes, .fixedBytes:
            let (bytes, count) = view.slice(row)
            LineText.hex(bytes, count, hexes, &at)
        }
    }

    @inline(__always)
    private func field(
        _ view: View, _ row: Int, _ pairs: UnsafePointer<UInt16>, _ hexes: UnsafePointer<UInt16>, _ at: inout LineText.Target
    ) {
        func key(_ key: UnsafeBufferPointer<UInt8>) { if let base = key.baseAddress { LineText.copy(base, key.count, &at) } }
        func text(_ text: String) {
            LineText.byte(0x22, &at)
            LineText.ascii(text, &at)
            LineText.byte(0x22, &at)
        }
        switch view.type {
        case .bool:
            key(view.key)
            LineText.byte(view.values[row] != 0 ? 0x74 : 0x66, &at)
        case .int64, .timestamp:
            key(view.key)
            LineText.decimal(view.load(row, Int64.self), pairs, &at)
            LineText.byte(0x69, &at)
        case .uint64:
            let value = view.load(row, UInt64.self)
            guard hasUnsigned || value <= UInt64(Int64.max) else {
                key(view.textKey)
                return text(String(value))
            }
            key(view.key)
            LineText.decimal(value, pairs, &at)
            LineText.byte(hasUnsigned ? 0x75 : 0x69, &at)
        case .float64:
            let value = view.load(row, Double.self)
            key(value.isFinite ? view.key : view.textKey)
            value.isFinite ? LineText.ascii(value.description, &at) : text(value.description)
        case .decimal:
            let value = view.load(row, Int128.self)
            amount(view, Int64(exactly: value).map { .small($0 < 0, $0.magnitude) } ?? .large(value.description), pairs, &at)
        case .uint256:
            let value = view.load(row, UInt256.self)
            let small = value.high == 0 ? UInt64(exactly: value.low) : nil
            amount(view, small.map { .small(false, $0) } ?? .large(value.description), pairs, &at)
        case .string, .json:
            let (bytes, count) = view.slice(row)
            key(view.key)
            LineText.byte(0x22, &at)
            LineText.quoted(bytes, count, &at)
            LineText.byte(0x22, &at)
        case .bytes, .fixedBytes:
            let (bytes, count) = view.slice(row)
            key(view.key)
            LineText.byte(0x22, &at)
            LineText.hex(bytes, count, hexes, &at)
            LineText.byte(0x22, &at)
        }
    }

    /// A number of any length: most fit a word.
    private enum Digits {
        case small(Bool, UInt64)
        case large(String)
    }

    /// An amount as text, and when that is asked for as a double: the server reads the digits, and rounds them right.
    @inline(__always)
    private func amount(_ view: View, _ digits: Digits, _ pairs: UnsafePointer<UInt16>, _ at: inout LineText.Target) {
        func write() {
            switch digits {
            case .small(let isNegative, let value):
                if isNegative { LineText.byte(0x2D, &at) }
                LineText.decimal(value, pairs, &at)
            case .large(let text): LineText.ascii(text, &at)
            }
        }
        if let base = view.key.baseAddress { LineText.copy(base, view.key.count, &at) }
        LineText.byte(0x22, &at)
        write()
        LineText.byte(0x22, &at)
        guard addsFloats, let base = view.floatKey.baseAddress else { return }
        LineText.byte(0x2C, &at)
        LineText.copy(base, view.floatKey.count, &at)
        write()
    }

    /// What is written of every row, in memory that does not move.
    private struct KeyMemory {
        private let plan: LineTable
        private let memory: UnsafeMutablePointer<UInt8>
        private var used = 0
        let headCount: Int
        var head: UnsafePointer<UInt8> { UnsafePointer(memory) }
        /// What a line takes at most, without what its texts take beyond.
        let fixedBytes: Int

        init(_ plan: LineTable) {
            self.plan = plan
            let columns = plan.tags + plan.fields
            let keys = columns.reduce(0) { $0 + $1.key.count + $1.textKey.count + $1.floatKey.count }
            memory = .allocate(capacity: plan.head.count + keys + 1)
            headCount = plan.head.count
            // Separators, and a number of 78 digits once in quotes and once without: less than 192.
            fixedBytes =
                plan.head.count + keys + 64 + columns.reduce(0) { $0 + 192 + ($1.field.type.width ?? 0) * 2 }
            _ = put(plan.head)
        }

        func free() { memory.deallocate() }

        private mutating func put(_ bytes: [UInt8]) -> UnsafeBufferPointer<UInt8> {
            (memory + used).initialize(from: bytes, count: bytes.count)
            defer { used += bytes.count }
            return UnsafeBufferPointer(start: memory + used, count: bytes.count)
        }

        mutating func view(_ column: SluiceCore.Column, tag: Int) -> View { view(column, plan.tags[tag]) }
        mutating func view(_ column: SluiceCore.Column, field: Int) -> View { view(column, plan.fields[field]) }

        private mutating func view(_ column: SluiceCore.Column, _ own: LineTable.Column) -> View {
            // The column is held by the table, which outlives the views. An empty one has nothing to point to.
            let values = column.values.bytes.bindMemory(to: UInt8.self).baseAddress ?? head
            return View(
                type: column.type, values: values, offsets: column.offsets?.bytes.bindMemory(to: Int32.self).baseAddress,
                validity: column.validity?.bytes.bindMemory(to: UInt8.self).baseAddress, key: put(own.key), textKey: put(own.textKey),
                floatKey: put(own.floatKey))
        }
    }
}
