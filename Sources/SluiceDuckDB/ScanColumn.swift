import CDuckDB
public import SluiceCore

/// How one column of a scan is made from a field of a schema.
public struct ScanColumn: Sendable, Hashable {
    /// What the column becomes.
    enum Encoding: Sendable, Hashable {
        case copy1, copy8, copy16, text, bytes
        case fixed(Int)
        case bignum, digits, double
    }

    /// The column's name in SQL.
    public let name: String
    /// The column's type in SQL.
    public let sqlType: String
    let code: Int32
    let encoding: Encoding
    let source: Int

    /// The columns of a schema as a DuckDB table keeps them: one a field, of the same name, without a bit lost.
    public static func native(_ schema: Schema) -> [ScanColumn] {
        schema.fields.enumerated().map { index, field in
            switch field.type {
            case .bool: ScanColumn(name: field.name, sqlType: "BOOLEAN", code: 1, encoding: .copy1, source: index)
            case .int64: ScanColumn(name: field.name, sqlType: "BIGINT", code: 5, encoding: .copy8, source: index)
            case .uint64: ScanColumn(name: field.name, sqlType: "UBIGINT", code: 9, encoding: .copy8, source: index)
            case .float64: ScanColumn(name: field.name, sqlType: "DOUBLE", code: 11, encoding: .copy8, source: index)
            case .decimal: ScanColumn(name: field.name, sqlType: "HUGEINT", code: 16, encoding: .copy16, source: index)
            case .uint256: ScanColumn(name: field.name, sqlType: "BIGNUM", code: 35, encoding: .bignum, source: index)
            case .timestamp: ScanColumn(name: field.name, sqlType: "TIMESTAMP", code: 12, encoding: .copy8, source: index)
            case .string, .json: ScanColumn(name: field.name, sqlType: "VARCHAR", code: 17, encoding: .text, source: index)
            case .bytes: ScanColumn(name: field.name, sqlType: "BLOB", code: 18, encoding: .bytes, source: index)
            case .fixedBytes(let width):
                ScanColumn(name: field.name, sqlType: "BLOB", code: 18, encoding: .fixed(width), source: index)
            }
        }
    }

    /// The columns of a schema as a Parquet file keeps them. An amount of 256 bits is there twice: exactly, in decimal digits, and
    /// as the nearest double under `<name>_f64`; moments are adjusted to UTC; wide decimals are DECIMAL(38, 0).
    public static func parquet(_ schema: Schema) -> [ScanColumn] {
        native(schema).flatMap { column -> [ScanColumn] in
            switch schema.fields[column.source].type {
            case .uint256:
                [
                    ScanColumn(name: column.name, sqlType: "VARCHAR", code: 17, encoding: .digits, source: column.source),
                    ScanColumn(name: column.name + "_f64", sqlType: "DOUBLE", code: 11, encoding: .double, source: column.source),
                ]
            case .decimal:
                [ScanColumn(name: column.name, sqlType: "DECIMAL(38,0)", code: 19, encoding: .copy16, source: column.source)]
            case .timestamp:
                [
                    ScanColumn(
                        name: column.name, sqlType: "TIMESTAMP WITH TIME ZONE", code: 31, encoding: .copy8, source: column.source)
                ]
            default: [column]
            }
        }
    }

    /// As the C side wants it; `name` must live as long as the call.
    func described(_ name: UnsafePointer<CChar>?) -> duck_scan_column {
        let (kind, width): (duck_encoding, Int) =
            switch encoding {
            case .copy1: (DUCK_COPY_1, 1)
            case .copy8: (DUCK_COPY_8, 8)
            case .copy16: (DUCK_COPY_16, 16)
            case .fixed(let width): (DUCK_FIXED, width)
            case .text: (DUCK_TEXT, 0)
            case .bytes: (DUCK_BYTES, 0)
            case .bignum: (DUCK_U256_BIGNUM, 32)
            case .digits: (DUCK_U256_TEXT, 32)
            case .double: (DUCK_U256_DOUBLE, 32)
            }
        return duck_scan_column(name: name, type: code, encoding: kind, source: UInt32(source), width: UInt32(width))
    }
}
