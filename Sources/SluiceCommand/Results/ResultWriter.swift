public import SluiceDuckDB

/// Writes the rows of a query as they come.
public protocol ResultWriter {
    /// Before the first row.
    mutating func begin(_ columns: [String])
    mutating func rows(_ rows: [[DuckDBValue]])
    /// Behind the last row.
    mutating func end()
}

/// Where a writer puts its text.
public typealias TextSink = (String) -> Void
