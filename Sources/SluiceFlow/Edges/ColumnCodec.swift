import SluiceCore

/// A column as bytes: how many nulls, then validity, offsets and values, each only as far as its rows use it.
enum ColumnCodec {
    static func encode(_ column: Column, into writer: inout ByteWriter) {
        writer.append(count: column.nullCount)
        if let validity = column.validity { writer.append(raw: UnsafeRawBufferPointer(rebasing: validity.bytes[..<bits(column.count)])) }
        if let width = column.type.width {
            writer.append(raw: UnsafeRawBufferPointer(rebasing: column.values.bytes[..<(column.count * width)]))
            return
        }
        // The number of bytes stands in the last offset.
        guard let offsets = column.offsets else { return }
        writer.append(raw: UnsafeRawBufferPointer(rebasing: offsets.bytes[..<((column.count + 1) * 4)]))
        let end = Int(offsets.bytes.loadUnaligned(fromByteOffset: column.count * 4, as: Int32.self))
        writer.append(raw: UnsafeRawBufferPointer(rebasing: column.values.bytes[..<end]))
    }

    static func decode(_ type: LogicalType, count: Int, from reader: inout ByteReader) throws(SluiceError) -> Column {
        let at = reader.offset
        let nullCount = try reader.count(of: 0)
        guard nullCount <= count else { throw reader.malformed("\(nullCount) nulls in \(count) rows", at: at) }
        let validity = nullCount > 0 ? Buffer(copying: try reader.raw(bits(count))) : nil
        if let width = type.width {
            let (size, overflow) = count.multipliedReportingOverflow(by: width)
            guard !overflow else { throw reader.malformed("\(count) rows of \(width) bytes", at: at) }
            let values = Buffer(copying: try reader.raw(size))
            return Column(type: type, count: count, nullCount: nullCount, values: values, offsets: nil, validity: validity)
        }
        let start = reader.offset
        guard count < reader.remaining / 4 else { throw reader.malformed("\(count) rows, \(reader.remaining) bytes left", at: start) }
        let raw = try reader.raw((count + 1) * 4)
        var last = Int32(0)
        var ascends = true
        for row in 0...count {
            let next = raw.loadUnaligned(fromByteOffset: row * 4, as: Int32.self)
            ascends = ascends && next >= last
            last = next
        }
        // Offsets that lead outside of the values would be read without a check later.
        guard ascends else { throw reader.malformed("offsets that do not ascend", at: start) }
        let values = Buffer(copying: try reader.raw(Int(last)))
        return Column(
            type: type, count: count, nullCount: nullCount, values: values, offsets: Buffer(copying: raw), validity: validity)
    }

    /// Bytes of a bitmap. Written so that no count overflows.
    private static func bits(_ count: Int) -> Int { count / 8 + (count % 8 == 0 ? 0 : 1) }
}
