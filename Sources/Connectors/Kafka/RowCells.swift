import SluiceCore

/// The columns of a table as plain pointers, so that looking at a value counts no references.
struct RowCells: ~Copyable {
    /// One column.
    struct Cell {
        let type: LogicalType
        private let values: UnsafeRawBufferPointer
        private let offsets: UnsafeRawBufferPointer
        private let validity: UnsafeRawBufferPointer

        init(_ column: Column) {
            type = column.type
            values = column.values.bytes
            offsets = column.offsets?.bytes ?? UnsafeRawBufferPointer(start: nil, count: 0)
            validity = column.validity?.bytes ?? UnsafeRawBufferPointer(start: nil, count: 0)
        }

        @inline(__always)
        func isNull(_ row: Int) -> Bool { validity.baseAddress != nil && validity[row >> 3] & (1 << UInt8(row & 7)) == 0 }

        @inline(__always)
        func load<T: BitwiseCopyable>(_ row: Int, as type: T.Type = T.self) -> T {
            values.loadUnaligned(fromByteOffset: row * MemoryLayout<T>.size, as: T.self)
        }

        /// Bytes of a type of fixed width.
        @inline(__always)
        func bytes(_ row: Int, width: Int) -> UnsafeRawBufferPointer {
            UnsafeRawBufferPointer(rebasing: values[row * width..<(row + 1) * width])
        }

        /// Bytes of a type of variable length.
        @inline(__always)
        func bytes(_ row: Int) -> UnsafeRawBufferPointer {
            guard offsets.baseAddress != nil else { return offsets }
            let start = offsets.loadUnaligned(fromByteOffset: row * 4, as: Int32.self)
            let end = offsets.loadUnaligned(fromByteOffset: row * 4 + 4, as: Int32.self)
            return UnsafeRawBufferPointer(rebasing: values[Int(start)..<Int(end)])
        }
    }

    /// Holds what the pointers point to.
    private let table: Table
    private let cells: UnsafeMutableBufferPointer<Cell>

    init(_ table: Table) {
        self.table = table
        cells = .allocate(capacity: table.columns.count)
        for index in table.columns.indices { cells.initializeElement(at: index, to: Cell(table.columns[index])) }
    }

    deinit { cells.deallocate() }

    @inline(__always)
    subscript(_ column: Int) -> Cell { cells[column] }
}
