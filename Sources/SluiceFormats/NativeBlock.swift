import Glibc
public import SluiceCore

/// ClickHouse's format `Native`: how many columns and rows, then column by column its name, its type, which rows are null, and the values one behind
/// the other as they lie in memory. Source: "Native", Formats for input and output data (ClickHouse documentation), and what servers 18.16 and 26.9 write.
public struct NativeBlock {
    /// How the values of a column are written.
    public enum Encoding: Sendable, Hashable {
        /// As they lie in our buffers: fixed width, little-endian.
        case plain
        /// Values of 32 bytes the other way round, so that they sort as what they are.
        case bigEndian
        /// A length (LEB128) before each value.
        case string
    }

    /// One column of the store, and the field that fills it.
    public struct Target: Sendable, Hashable {
        /// Of the schema's fields, by its place.
        public let field: Int
        public let name: String
        /// Of a single value, without `Nullable`.
        public let type: String
        public let isNullable: Bool
        public let encoding: Encoding

        public init(field: Int, name: String, type: String, isNullable: Bool, encoding: Encoding) {
            self.field = field
            self.name = name
            self.type = type
            self.isNullable = isNullable
            self.encoding = encoding
        }
    }

    /// The same value in all rows.
    public struct Constant: Sendable, Hashable {
        public let name: String
        public let type: String
        /// As it is to be written.
        public let bytes: [UInt8]

        public init(name: String, type: String, bytes: [UInt8]) {
            self.name = name
            self.type = type
            self.bytes = bytes
        }

        public static func uint64(_ name: String, _ value: UInt64) -> Constant {
            Constant(name: name, type: "UInt64", bytes: withUnsafeBytes(of: value.littleEndian) { Array($0) })
        }

        public static func uint8(_ name: String, _ value: UInt8) -> Constant { Constant(name: name, type: "UInt8", bytes: [value]) }
    }

    /// The rows of some tables of one schema, one behind the other; empty when there are none.
    /// - Parameter rowsPerBlock: a block ends behind the table by which it has so many rows. Blocks of some thousand are read best.
    public static func encode(_ tables: [Table], as targets: [Target], constants: [Constant] = [], rowsPerBlock: Int = 16_384) -> [UInt8] {
        let all = buffer(tables, as: targets, constants: constants, rowsPerBlock: rowsPerBlock)
        return withExtendedLifetime(all) { Array(all.bytes) }
    }

    /// The same as a buffer, which goes to a server as it is.
    public static func buffer(_ tables: [Table], as targets: [Target], constants: [Constant] = [], rowsPerBlock: Int = 16_384) -> Buffer {
        var blocks: [(tables: Range<Int>, rows: Int)] = []
        for (index, table) in tables.enumerated() where table.rowCount > 0 {
            if let last = blocks.last, last.rows < rowsPerBlock {
                blocks[blocks.count - 1] = (last.tables.lowerBound..<(index + 1), last.rows + table.rowCount)
            } else {
                blocks.append((index..<(index + 1), table.rowCount))
            }
        }
        let capacity = blocks.reduce(0) { $0 + bound(tables[$1.tables], targets, constants, rows: $1.rows) }
        guard capacity > 0 else { return Buffer(count: 0) { _ in } }
        let memory = UnsafeMutableRawPointer(malloc(capacity))
        // As wherever Swift makes room for its own: without memory there is no going on.
        guard let memory else { preconditionFailure("no memory for \(capacity) bytes") }
        var writer = Writer(out: memory)
        for block in blocks { write(tables[block.tables], targets, constants, rows: block.rows, &writer) }
        return Buffer(adopting: memory, count: writer.count)
    }

    /// The most that a block takes.
    private static func bound(_ tables: ArraySlice<Table>, _ targets: [Target], _ constants: [Constant], rows: Int) -> Int {
        var bytes = 20
        for target in targets {
            bytes += target.name.utf8.count + target.type.utf8.count + 40 + (target.isNullable ? rows : 0)
            for table in tables {
                let column = table.columns[target.field]
                bytes += column.type.width.map { $0 * column.count } ?? column.values.count
                // The length before each value.
                if target.encoding == .string { bytes += 5 * column.count }
            }
        }
        return constants.reduce(bytes) { $0 + $1.name.utf8.count + $1.type.utf8.count + 20 + $1.bytes.count * rows }
    }

    private static func write(
        _ tables: ArraySlice<Table>, _ targets: [Target], _ constants: [Constant], rows: Int, _ writer: inout Writer
    ) {
        writer.varint(targets.count + constants.count)
        writer.varint(rows)
        for target in targets {
            writer.text(target.name)
            writer.text(target.isNullable ? "Nullable(\(target.type))" : target.type)
            if target.isNullable { for table in tables { writer.nulls(table.columns[target.field]) } }
            for table in tables { writer.values(table.columns[target.field], target.encoding) }
        }
        for constant in constants {
            writer.text(constant.name)
            writer.text(constant.type)
            writer.repeated(constant.bytes, rows)
        }
    }

    /// Writes into memory that is known to suffice.
    private struct Writer {
        let out: UnsafeMutableRawPointer
        var count = 0

        @inline(__always)
        mutating func varint(_ number: Int) {
            var rest = UInt(number)
            while rest >= 0x80 {
                out.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: count, as: UInt8.self)
                count += 1
                rest >>= 7
            }
            out.storeBytes(of: UInt8(rest), toByteOffset: count, as: UInt8.self)
            count += 1
        }

        @inline(__always)
        mutating func raw(_ bytes: UnsafeRawBufferPointer) {
            guard let base = bytes.baseAddress, !bytes.isEmpty else { return }
            (out + count).copyMemory(from: base, byteCount: bytes.count)
            count += bytes.count
        }

        mutating func text(_ text: String) {
            let bytes = Array(text.utf8)
            varint(bytes.count)
            bytes.withUnsafeBytes { raw($0) }
        }

        mutating func nulls(_ column: Column) {
            guard column.nullCount > 0 else {
                (out + count).initializeMemory(as: UInt8.self, repeating: 0, count: column.count)
                count += column.count
                return
            }
            for row in 0..<column.count { out.storeBytes(of: column.isNull(row) ? 1 : 0, toByteOffset: count + row, as: UInt8.self) }
            count += column.count
        }

        mutating func values(_ column: Column, _ encoding: Encoding) {
            switch encoding {
            case .plain:
                let width = column.type.width ?? 0
                raw(UnsafeRawBufferPointer(rebasing: column.values.bytes[..<(width * column.count)]))
            case .bigEndian:
                for row in 0..<column.count {
                    let value = column.load(row, as: UInt256.self)
                    out.storeBytes(of: value.high.bigEndian, toByteOffset: count, as: UInt128.self)
                    out.storeBytes(of: value.low.bigEndian, toByteOffset: count + 16, as: UInt128.self)
                    count += 32
                }
            case .string:
                guard let offsets = column.offsets?.bytes, let base = column.values.bytes.baseAddress ?? offsets.baseAddress else {
                    for row in 0..<column.count {
                        let bytes = column.bytes(row)
                        varint(bytes.count)
                        raw(bytes)
                    }
                    return
                }
                var start = Int(offsets.loadUnaligned(fromByteOffset: 0, as: Int32.self))
                for row in 0..<column.count {
                    let end = Int(offsets.loadUnaligned(fromByteOffset: row * 4 + 4, as: Int32.self))
                    varint(end - start)
                    (out + count).copyMemory(from: base + start, byteCount: end - start)
                    count += end - start
                    start = end
                }
            }
        }

        mutating func repeated(_ bytes: [UInt8], _ rows: Int) {
            if bytes.count == 8 {
                let word = bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
                for row in 0..<rows { out.storeBytes(of: word, toByteOffset: count &+ row &* 8, as: UInt64.self) }
                count += rows * 8
            } else if bytes.count == 1 {
                (out + count).initializeMemory(as: UInt8.self, repeating: bytes[0], count: rows)
                count += rows
            } else {
                for _ in 0..<rows { bytes.withUnsafeBytes { raw($0) } }
            }
        }
    }
}
