public import SluiceCore

/// The lines of batches as the sink would send them, and nothing sent: what encoding alone costs.
public struct InfluxLines: ~Copyable {
    private let plans: [LineTable]
    private let encoder = LineEncoder(hasUnsigned: true, addsFloats: false)
    private var buffer = LineBuffer()

    /// - Throws: `influxdb_schema` when a table cannot be points.
    public init(_ tables: [Schema]) throws { plans = try tables.map { try LineTable($0, measurement: $0.name, nil) } }

    /// Encodes all rows of a batch, and forgets them.
    public mutating func encode(_ batch: Batch) throws -> (lines: Int, bytes: Int) {
        var (lines, bytes) = (0, 0)
        for table in batch.tables where table.rowCount > 0 {
            guard let plan = plans.first(where: { $0.schema.isNamed(as: table.schema) }) else { continue }
            var row = 0
            var misfits: [LineEncoder.Misfit] = []
            while row < table.rowCount {
                row = try encoder.encode(
                    table, from: row, plan, batch.span, into: &buffer, maxLines: 5_000, maxBytes: 4 << 20, misfits: &misfits)
                lines += buffer.lines
                bytes += buffer.count
                buffer.removeAll()
            }
        }
        return (lines, bytes)
    }
}
