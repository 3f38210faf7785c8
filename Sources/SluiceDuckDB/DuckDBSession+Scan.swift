import CDuckDB
import Glibc
import SluiceCore

extension DuckDBSession {
    /// Gives rows to one statement: `body` gets the name under which SQL reads them, such as `sluice_scan(7)`. They can be read once.
    ///
    /// What is longer than 12 bytes is not copied on the way.
    /// - Parameter slices: all of one schema, read one behind the other.
    public func scanning<R>(_ slices: [TableSlice], as columns: [ScanColumn], _ body: (String) throws -> R) throws -> R {
        let feed = ListFeed(slices)
        return try withExtendedLifetime(feed) { try scanning(feed.described, as: columns, body) }
    }

    /// The same for rows that are still to come.
    public func scanning<R>(_ stream: SliceStream, as columns: [ScanColumn], _ body: (String) throws -> R) throws -> R {
        try withExtendedLifetime(stream) { try scanning(stream.described, as: columns, body) }
    }

    private func scanning<R>(_ feed: duck_feed, as columns: [ScanColumn], _ body: (String) throws -> R) throws -> R {
        let names = columns.map { strdup($0.name) }
        defer { names.forEach { free($0) } }
        let described = zip(columns, names).map { $0.described(UnsafePointer($1)) }
        let number = duck_scans_add(database.scans, described, UInt32(described.count), feed)
        guard number > 0 else { throw SluiceError(.duckdbMemory, .fatal, "opening a scan: no memory") }
        defer { duck_scans_remove(database.scans, number) }
        return try body("sluice_scan(\(number))")
    }

    /// Appends rows to a table.
    /// - Parameters:
    ///   - slices: all of one schema.
    ///   - target: the table's name, quoted.
    public func insert(_ slices: [TableSlice], into target: String) throws {
        guard let schema = slices.first?.table.schema else { return }
        let columns = ScanColumn.native(schema)
        let names = columns.map { Self.quoted($0.name) }.joined(separator: ", ")
        try scanning(slices, as: columns) { source in
            try execute("INSERT INTO \(target) (\(names)) SELECT * FROM \(source)", doing: "writing to \(schema.name)")
        }
    }
}

/// Slices that are all there.
private final class ListFeed {
    private let slices: [PinnedSlice]
    private var next = 0

    init(_ slices: [TableSlice]) { self.slices = slices.filter { !$0.rows.isEmpty }.map(PinnedSlice.init) }

    /// Valid while the feed is held.
    var described: duck_feed {
        duck_feed(
            context: Unmanaged.passUnretained(self).toOpaque(),
            next: { context, out, _ in
                guard let context, let out else { return 0 }
                return Unmanaged<ListFeed>.fromOpaque(context).takeUnretainedValue().advance(out)
            }, done: nil)
    }

    private func advance(_ out: UnsafeMutablePointer<duck_slice>) -> Int32 {
        guard next < slices.count else { return 0 }
        out.pointee = slices[next].described
        next += 1
        return 1
    }
}
