public import SluiceCore

extension SluiceError.Code {
    /// Bytes are not an encoded batch, or not of a version that is understood.
    public static let batchMalformed = SluiceError.Code("batch_malformed")
}

/// Batches and what else an edge carries as bytes, in columns: the buffers of each column one behind the other, as they are in memory.
/// What is decoded equals what was encoded, to the bit. Every record stands for itself.
///
/// It keeps the schemas it has met, so that neither side makes them anew for every batch, and decoded tables share theirs.
public struct BatchCodec: Sendable {
    /// The first byte of every record.
    public static let version: UInt8 = 1

    private enum Kind {
        static let batch: UInt8 = 0
        static let rollback: UInt8 = 1
        static let finalized: UInt8 = 2
    }

    /// More than a pipeline has. Beyond that they are forgotten, so that a stream of ever new schemas fills no memory.
    private static let knownSchemas = 256

    private var encoded: [String: (schema: Schema, bytes: [UInt8])] = [:]
    private var decoded: [[UInt8]: Schema] = [:]

    public init() {}

    /// The transit as bytes.
    public mutating func encode(_ transit: Transit) -> [UInt8] {
        var writer = ByteWriter()
        encode(transit, into: &writer)
        return writer.bytes
    }

    /// Appends the transit.
    mutating func encode(_ transit: Transit, into writer: inout ByteWriter) {
        writer.append(Self.version)
        switch transit {
        case .batch(let batch):
            writer.append(Kind.batch)
            encode(batch, into: &writer)
        case .rollback(let position):
            writer.append(Kind.rollback)
            writer.append(position.number)
            position.hash.withBytes { writer.append(raw: $0) }
        case .finalized(let number):
            writer.append(Kind.finalized)
            writer.append(number)
        }
    }

    /// The transit that was encoded into exactly these bytes.
    /// - Throws: `batch_malformed` with the byte where it is not one. Changed bytes of values are not noticed here: whoever stores records
    ///   adds a checksum.
    public mutating func decode(_ bytes: UnsafeRawBufferPointer) throws(SluiceError) -> Transit {
        var reader = ByteReader(bytes)
        let version = try reader.integer(UInt8.self)
        guard version == Self.version else { throw reader.malformed("version \(version), not \(Self.version)", at: 0) }
        let kind = try reader.integer(UInt8.self)
        let transit: Transit
        switch kind {
        case Kind.batch: transit = .batch(try batch(&reader))
        case Kind.rollback: transit = .rollback(to: Position(number: try reader.integer(), hash: try reader.hash()))
        case Kind.finalized: transit = .finalized(try reader.integer())
        default: throw reader.malformed("kind \(kind)", at: 1)
        }
        guard reader.remaining == 0 else { throw reader.malformed("\(reader.remaining) bytes too many") }
        return transit
    }

    // MARK: batches

    private mutating func encode(_ batch: Batch, into writer: inout ByteWriter) {
        writer.append(batch.chainID)
        writer.append(batch.span.first)
        batch.span.parentHash.withBytes { writer.append(raw: $0) }
        writer.append(count: batch.span.count)
        for block in batch.span.blocks {
            block.hash.withBytes { writer.append(raw: $0) }
            writer.append(block.timestamp)
        }
        writer.append(count: batch.tables.count)
        for table in batch.tables {
            let schema = bytes(of: table.schema)
            writer.append(count: schema.count)
            schema.withUnsafeBytes { writer.append(raw: $0) }
            writer.append(count: table.rowCount)
            for column in table.columns { ColumnCodec.encode(column, into: &writer) }
        }
    }

    private mutating func batch(_ reader: inout ByteReader) throws(SluiceError) -> Batch {
        let chainID = try reader.integer(UInt64.self)
        let at = reader.offset
        let first = try reader.integer(UInt64.self)
        let parentHash = try reader.hash()
        let count = try reader.count(of: 40)
        guard count > 0, !first.addingReportingOverflow(UInt64(count - 1)).overflow else {
            throw reader.malformed("a span of \(count) blocks from \(first)", at: at)
        }
        var blocks: [BlockStamp] = []
        blocks.reserveCapacity(count)
        for _ in 0..<count { blocks.append(BlockStamp(hash: try reader.hash(), timestamp: try reader.integer())) }
        var tables: [Table] = []
        for _ in 0..<(try reader.count(of: 16)) { tables.append(try table(&reader)) }
        return Batch(chainID: chainID, span: Span(first: first, parentHash: parentHash, blocks: blocks), tables: tables)
    }

    private mutating func table(_ reader: inout ByteReader) throws(SluiceError) -> Table {
        let size = try reader.count(of: 1)
        let schema = try schema(try reader.raw(size), endingAt: reader.offset, of: reader)
        let rowCount = try reader.count(of: 0)
        var columns: [Column] = []
        columns.reserveCapacity(schema.fields.count)
        for field in schema.fields { columns.append(try ColumnCodec.decode(field.type, count: rowCount, from: &reader)) }
        return Table(schema: schema, columns: columns, rowCount: rowCount)
    }

    // MARK: schemas

    private mutating func bytes(of schema: Schema) -> [UInt8] {
        // Equal schemas nearly always share their storage, so that comparing them costs little.
        if let known = encoded[schema.name], known.schema == schema { return known.bytes }
        var writer = ByteWriter()
        SchemaCodec.encode(schema, into: &writer)
        if encoded.count >= Self.knownSchemas { encoded = [:] }
        encoded[schema.name] = (schema, writer.bytes)
        return writer.bytes
    }

    private mutating func schema(
        _ raw: UnsafeRawBufferPointer, endingAt end: Int, of reader: ByteReader
    ) throws(SluiceError) -> Schema {
        let bytes = Array(raw)
        if let known = decoded[bytes] { return known }
        var inner = ByteReader(raw)
        let schema: Schema
        do throws(SluiceError) { schema = try SchemaCodec.decode(&inner) } catch {
            throw reader.malformed("a schema: \(error.message)", at: end - raw.count)
        }
        guard inner.remaining == 0 else { throw reader.malformed("a schema with bytes behind it", at: end - inner.remaining) }
        if decoded.count >= Self.knownSchemas { decoded = [:] }
        decoded[bytes] = schema
        return schema
    }
}
