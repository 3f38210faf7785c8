import SluiceCore
import SluiceDuckDB

/// One file on its way: a COPY that runs while its rows arrive.
struct CopyJob: Sendable {
    let stream: SliceStream
    private let task: Task<Void, any Error>
    var rows = 0

    /// Starts the statement on the connection's thread. Whoever starts a job ends it, with `end` and `ended`, or `abort`.
    init(_ schema: Schema, to path: String, _ options: ParquetSinkOptions, in room: SliceRoom, on connection: DuckDBConnection) {
        let stream = SliceStream(room: room)
        self.stream = stream
        let columns = ScanColumn.parquet(schema)
        // A task of its own, because the statement runs as long as the file is open; `ended` and `abort` await it.
        task = Task {
            try await connection.run { session in
                // A writer that waits for room must not wait for a statement that has failed.
                defer { stream.close() }
                try session.scanning(stream, as: columns) { source in
                    try session.execute(
                        "COPY (SELECT * FROM \(source)) TO \(DuckDBSession.literal(path)) (\(options.copyOptions))",
                        doing: "writing \(path)")
                }
            }
        }
    }

    /// Hands over rows; suspends while too many wait.
    mutating func push(_ slice: TableSlice) async throws {
        await stream.push(slice)
        rows += slice.rows.count
        // The statement can only be over here when it failed: its error is the one to throw.
        if stream.isClosed { try await task.value }
    }

    /// No more rows will come: the statement writes what it holds.
    func end() { stream.finish() }

    /// Returns when the file that was ended is whole.
    func ended() async throws { try await task.value }

    /// Gives the file up.
    func abort() async {
        stream.abort()
        _ = await task.result
    }
}
