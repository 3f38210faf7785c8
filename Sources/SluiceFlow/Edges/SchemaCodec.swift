import SluiceCore

/// A schema as bytes, with everything that a reader of the table may ask for.
enum SchemaCodec {
    static func encode(_ schema: Schema, into writer: inout ByteWriter) {
        writer.append(text: schema.name)
        writer.append(text: schema.doc)
        writer.append(count: schema.key.count)
        for name in schema.key { writer.append(text: name) }
        writer.append(count: schema.fields.count)
        for field in schema.fields {
            writer.append(text: field.name)
            writer.append(text: field.doc)
            let type = number(of: field.type)
            writer.append(type.number)
            writer.append(count: type.width)
            writer.append(field.nullable ? 1 : 0 as UInt8)
            writer.append(number(of: field.content))
        }
    }

    static func decode(_ reader: inout ByteReader) throws(SluiceError) -> Schema {
        let name = try reader.text()
        let doc = try reader.text()
        var key: [String] = []
        for _ in 0..<(try reader.count(of: 8)) { key.append(try reader.text()) }
        var fields: [Field] = []
        for _ in 0..<(try reader.count(of: 27)) {
            let name = try reader.text()
            let doc = try reader.text()
            let type = try type(&reader)
            let nullable = try reader.integer(UInt8.self)
            guard nullable <= 1 else { throw reader.malformed("\(nullable) for whether a field may be null") }
            fields.append(Field(name, type, nullable: nullable == 1, content: try content(&reader), doc))
        }
        return Schema(name: name, key: key, doc: doc, fields: fields)
    }

    /// The number of a type, and the width where the type has one to say.
    private static func number(of type: LogicalType) -> (number: UInt8, width: Int) {
        switch type {
        case .bool: (0, 0)
        case .int64: (1, 0)
        case .uint64: (2, 0)
        case .float64: (3, 0)
        case .decimal: (4, 0)
        case .uint256: (5, 0)
        case .timestamp: (6, 0)
        case .string: (7, 0)
        case .bytes: (8, 0)
        case .fixedBytes(let width): (9, width)
        case .json: (10, 0)
        }
    }

    private static func type(_ reader: inout ByteReader) throws(SluiceError) -> LogicalType {
        let at = reader.offset
        let number = try reader.integer(UInt8.self)
        let width = try reader.count(of: 0)
        if number == 9 { return .fixedBytes(width) }
        let plain: [LogicalType] = [.bool, .int64, .uint64, .float64, .decimal, .uint256, .timestamp, .string, .bytes, .bytes, .json]
        guard number < plain.count, width == 0 else { throw reader.malformed("type \(number) of width \(width)", at: at) }
        return plain[Int(number)]
    }

    private static func number(of content: Field.Content) -> UInt8 {
        switch content {
        case .varied: 0
        case .repeating: 1
        case .patterned: 2
        }
    }

    private static func content(_ reader: inout ByteReader) throws(SluiceError) -> Field.Content {
        switch try reader.integer(UInt8.self) {
        case 0: return .varied
        case 1: return .repeating
        case 2: return .patterned
        case let number: throw reader.malformed("content \(number)", at: reader.offset - 1)
        }
    }
}
