import CDuckDB
public import SluiceCore

/// Some rows of a table, without a copy.
public struct TableSlice: Sendable {
    public let table: Table
    public let rows: Range<Int>

    /// `rows` nil: all of them.
    public init(_ table: Table, rows: Range<Int>? = nil) {
        precondition(rows.map { $0.lowerBound >= 0 && $0.upperBound <= table.rowCount } ?? true, "rows that the table does not have")
        self.table = table
        self.rows = rows ?? 0..<table.rowCount
    }

    /// Bytes of memory, as a share of the table's.
    public var byteCount: Int { table.rowCount == 0 ? 0 : table.byteCount * rows.count / table.rowCount }
}

/// A slice with its columns' addresses laid out for the C side. The memory is the table's, which it holds.
final class PinnedSlice {
    private let slice: TableSlice
    private let columns: UnsafeMutablePointer<duck_source_column>

    init(_ slice: TableSlice) {
        self.slice = slice
        let table = slice.table
        columns = .allocate(capacity: max(1, table.columns.count))
        for (index, column) in table.columns.enumerated() {
            // A buffer's bytes stay where they are as long as the buffer lives, and the slice holds it.
            func address(_ buffer: Buffer?) -> UnsafePointer<UInt8>? {
                buffer?.bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            }
            (columns + index).initialize(
                to: duck_source_column(
                    values: address(column.values), offsets: address(column.offsets), validity: address(column.validity)))
        }
    }

    deinit { columns.deallocate() }

    var described: duck_slice {
        duck_slice(columns: columns, first: UInt64(slice.rows.lowerBound), end: UInt64(slice.rows.upperBound))
    }
}
