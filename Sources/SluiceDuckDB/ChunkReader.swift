import CDuckDB

/// Reads the chunks of one result: vectors of DuckDB's types into values.
struct ChunkReader {
    /// One column: the library's type code, and for decimals how they are kept.
    private struct Kind {
        let type: Int32
        let scale: Int
        let inner: Int32
    }

    let names: [String]
    private let kinds: [Kind]

    /// The type codes of the library that have a reader here; the rest is cast to text in the query.
    static let readable: Set<Int32> = Set(1...20).union([31, 32, 35, 36])

    init(_ result: inout duck_result) {
        var names: [String] = []
        var kinds: [Kind] = []
        for column in 0..<duck_column_count(&result) {
            names.append(duck_column_name(&result, column).map { String(cString: $0) } ?? "")
            var type = duck_column_logical_type(&result, column)
            let code = duck_get_type_id(type)
            kinds.append(
                Kind(
                    type: code, scale: code == 19 ? Int(duck_decimal_scale(type)) : 0,
                    inner: code == 19 ? duck_decimal_internal_type(type) : 0))
            duck_destroy_logical_type(&type)
        }
        self.names = names
        self.kinds = kinds
    }

    /// The rows of a chunk.
    func rows(_ chunk: duck_handle) -> [[DuckDBValue]] {
        let count = Int(duck_data_chunk_get_size(chunk))
        var rows = [[DuckDBValue]](repeating: [], count: count)
        for row in rows.indices { rows[row].reserveCapacity(kinds.count) }
        for (column, kind) in kinds.enumerated() {
            guard let vector = duck_data_chunk_get_vector(chunk, UInt64(column)) else { continue }
            let validity = duck_vector_get_validity(vector)
            let data = UnsafeRawPointer(duck_vector_get_data(vector))
            for row in 0..<count {
                let there = validity.map { $0[row >> 6] >> UInt64(row & 63) & 1 == 1 } ?? true
                rows[row].append(there ? data.map { Self.value($0, row, kind) } ?? .null : .null)
            }
        }
        return rows
    }

    private static func value(_ data: UnsafeRawPointer, _ row: Int, _ kind: Kind) -> DuckDBValue {
        func load<T: BitwiseCopyable>(_ type: T.Type) -> T {
            data.loadUnaligned(fromByteOffset: row * MemoryLayout<T>.size, as: type)
        }
        switch kind.type {
        case 1: return .bool(load(UInt8.self) != 0)
        case 2: return .int(Int64(load(Int8.self)))
        case 3: return .int(Int64(load(Int16.self)))
        case 4: return .int(Int64(load(Int32.self)))
        case 5: return .int(load(Int64.self))
        case 6: return .uint(UInt64(load(UInt8.self)))
        case 7: return .uint(UInt64(load(UInt16.self)))
        case 8: return .uint(UInt64(load(UInt32.self)))
        case 9: return .uint(load(UInt64.self))
        case 10: return .float(load(Float.self))
        case 11: return .double(load(Double.self))
        case 12: return .timestamp(load(Int64.self), utc: false)
        case 31: return .timestamp(load(Int64.self), utc: true)
        case 13: return .date(load(Int32.self))
        case 14: return .time(load(Int64.self))
        case 15:
            let at = data + row * 16
            return .interval(
                months: at.loadUnaligned(as: Int32.self), days: at.loadUnaligned(fromByteOffset: 4, as: Int32.self),
                micros: at.loadUnaligned(fromByteOffset: 8, as: Int64.self))
        case 16: return .int128(load(Int128.self))
        case 32: return .uint128(load(UInt128.self))
        case 17: return .text(String(decoding: bytes(data, row), as: UTF8.self))
        case 18: return .blob(Array(bytes(data, row)))
        case 19: return .decimal(decimal(data, row, kind))
        case 35: return .bignum(bignum(bytes(data, row)))
        default: return .null
        }
    }

    /// The bytes of a text, blob or bignum; valid while the chunk is.
    private static func bytes(_ data: UnsafeRawPointer, _ row: Int) -> UnsafeRawBufferPointer {
        let at = data + row * 16
        let count = Int(at.loadUnaligned(as: UInt32.self))
        if count <= 12 { return UnsafeRawBufferPointer(start: at + 4, count: count) }
        return UnsafeRawBufferPointer(start: at.loadUnaligned(fromByteOffset: 8, as: UnsafeRawPointer?.self), count: count)
    }

    private static func decimal(_ data: UnsafeRawPointer, _ row: Int, _ kind: Kind) -> String {
        let unscaled: Int128 =
            switch kind.inner {
            case 3: Int128(data.loadUnaligned(fromByteOffset: row * 2, as: Int16.self))
            case 4: Int128(data.loadUnaligned(fromByteOffset: row * 4, as: Int32.self))
            case 5: Int128(data.loadUnaligned(fromByteOffset: row * 8, as: Int64.self))
            default: data.loadUnaligned(fromByteOffset: row * 16, as: Int128.self)
            }
        let digits = String(unscaled.magnitude)
        let sign = unscaled < 0 ? "-" : ""
        if kind.scale == 0 { return sign + digits }
        let whole = String(repeating: "0", count: max(0, kind.scale + 1 - digits.count)) + digits
        return "\(sign)\(whole.dropLast(kind.scale)).\(whole.suffix(kind.scale))"
    }

    /// Three bytes of header, then the magnitude, most significant byte first; all bits turned around when negative.
    private static func bignum(_ bytes: UnsafeRawBufferPointer) -> String {
        guard bytes.count > 3, let first = bytes.first else { return "0" }
        let negative = first & 0x80 == 0
        var limbs = bytes.dropFirst(3).map { UInt32(negative ? ~$0 : $0) }
        var digits = ""
        repeat {
            var rest: UInt32 = 0
            for index in limbs.indices {
                let part = rest << 8 | limbs[index]
                limbs[index] = part / 10_000
                rest = part % 10_000
            }
            limbs = Array(limbs.drop { $0 == 0 })
            let part = String(rest)
            digits = (limbs.isEmpty ? part : String(repeating: "0", count: 4 - part.count) + part) + digits
        } while !limbs.isEmpty
        return negative ? "-" + digits : digits
    }
}
