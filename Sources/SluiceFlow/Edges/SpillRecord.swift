import SluiceCore

/// What stands before each encoded transit in a file. No byte of it, or of what follows, can change without being noticed.
struct SpillRecord {
    /// Magic (4), checksum of all that follows it (4), number of the record (8), its length without this header (8), its weight (8).
    static let headerSize = 32
    private static let magic: UInt32 = 0x3150_4C53  // "SLP1"

    /// Records are counted, so that one that stands in the place of another is noticed too.
    let sequence: UInt64
    let length: Int
    /// What the transit weighs in memory.
    let weight: Int

    /// Appends header and transit.
    static func write(_ item: EdgeItem, sequence: UInt64, with codec: inout BatchCodec, into writer: inout ByteWriter) {
        let start = writer.count
        writer.append(magic)
        writer.append(0 as UInt32)
        writer.append(sequence)
        writer.append(count: 0)
        writer.append(count: item.weight)
        codec.encode(item.transit, into: &writer)
        writer.replace(at: start + 16, with: UInt64(writer.count - start - headerSize))
        let checksum = writer.bytes.withUnsafeBytes { CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[(start + 8)...])) }
        writer.replace(at: start + 4, with: checksum)
    }

    /// Reads a header, which nothing vouches for until `verify` has seen the whole record.
    init(header bytes: UnsafeRawBufferPointer) throws(SluiceError) {
        var reader = ByteReader(bytes)
        let magic = try reader.integer(UInt32.self)
        guard magic == Self.magic else { throw reader.malformed("not a record", at: 0) }
        _ = try reader.integer(UInt32.self)
        sequence = try reader.integer()
        length = try reader.count(of: 0)
        weight = try reader.count(of: 0)
    }

    /// The transit of a whole record, header included, when it is what was written as number `expected`.
    func transit(_ bytes: UnsafeRawBufferPointer, expected: UInt64, with codec: inout BatchCodec) throws(SluiceError) -> Transit {
        var reader = ByteReader(bytes)
        _ = try reader.integer(UInt32.self)
        let checksum = try reader.integer(UInt32.self)
        guard CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[8...])) == checksum else {
            throw reader.malformed("the checksum does not fit", at: 4)
        }
        guard sequence == expected else { throw reader.malformed("record \(sequence) in the place of \(expected)", at: 8) }
        return try codec.decode(UnsafeRawBufferPointer(rebasing: bytes[Self.headerSize...]))
    }
}
