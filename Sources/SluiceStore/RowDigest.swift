internal import CSQLite

/// `row_digest(...)`: a number made from all values of a row. SQLite's main file has no checksums, so that a flipped bit in a
/// block number would be believed. Triggers keep the exclusive-or of all rows of a table in the table `digests`, and
/// opening compares.
enum RowDigest {
    /// Makes the function known to a connection. It is pure, and usable in the triggers of our own schema.
    static func register(in handle: OpaquePointer) {
        let flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS
        sqlite3_create_function_v2(
            handle, "row_digest", -1, flags, nil,
            { context, count, values in
                var state: UInt64 = 0xcbf2_9ce4_8422_2325
                for index in 0..<Int(count) { RowDigest.mix(values?[index], into: &state) }
                // FNV alone leaves neighbours similar, and exclusive-or would cancel that: spread it once more.
                state = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
                state = (state ^ (state >> 27)) &* 0x94d0_49bb_1331_11eb
                sqlite3_result_int64(context, Int64(bitPattern: state ^ (state >> 31)))
            }, nil, nil, nil)
    }

    private static func mix(_ value: OpaquePointer?, into state: inout UInt64) {
        let type = sqlite3_value_type(value)
        state = (state ^ UInt64(UInt32(bitPattern: type))) &* 0x100_0000_01b3
        if type == SQLITE_INTEGER {
            withUnsafeBytes(of: sqlite3_value_int64(value).littleEndian) { feed($0, into: &state) }
        } else if type != SQLITE_NULL, let base = sqlite3_value_blob(value) {
            let bytes = UnsafeRawBufferPointer(start: base, count: Int(sqlite3_value_bytes(value)))
            withUnsafeBytes(of: Int64(bytes.count).littleEndian) { feed($0, into: &state) }
            feed(bytes, into: &state)
        }
    }

    private static func feed(_ bytes: UnsafeRawBufferPointer, into state: inout UInt64) {
        for byte in bytes { state = (state ^ UInt64(byte)) &* 0x100_0000_01b3 }
    }
}
