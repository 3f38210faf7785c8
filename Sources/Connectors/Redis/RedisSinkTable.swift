import SluiceCore
import SluiceFormats

/// What becomes of the rows of one table.
struct RedisSinkTable: Sendable {
    let schema: Schema
    let options: RedisTableOptions
    let template: KeyTemplate
    /// The column by which blocks are undone.
    let number: Int

    init(_ schema: Schema, _ options: RedisSinkOptions, chainID: UInt64) throws(SluiceError) {
        self.schema = schema
        self.options = options.tables[schema.name] ?? RedisTableOptions(options.others)
        guard let number = schema.blockNumberField.flatMap(schema.index) else {
            throw SluiceError(.redisSinkKey, .config, "table \(schema.name) lacks a block number, so its rows could not be undone")
        }
        self.number = number
        let isLatest = self.options.mode == .latest
        guard let key = self.options.key ?? (isLatest ? nil : "{table}:{chain_id}") else {
            throw SluiceError(
                .redisSinkKey, .config, "table \(schema.name) of mode latest has no key",
                mend: "set tables.\(schema.name).key, such as \(schema.name):{chain_id}:{\(schema.key.last ?? "number")}")
        }
        template = try KeyTemplate(key, prefix: options.prefix, table: schema, chainID: chainID, takesColumns: isLatest)
    }

    /// The name of the stream or channel.
    var target: [UInt8] { template.fixed }

    /// What must not change while blocks are there.
    var line: String {
        "\(schema.name) \(options.mode.rawValue) \(options.form.rawValue) \(String(decoding: RedisKey.encoded(options.key ?? ""), as: UTF8.self))"
    }

    /// Seconds that a value lives; `0` for ever.
    var timeToLive: String { "\(options.timeToLive?.components.seconds ?? 0)" }

    /// The parts of a row's value: one text of JSON, or names and texts by turns.
    func value(_ table: Table, _ row: Int, _ json: inout TextRows, _ plain: inout TextRows, into parts: inout [[UInt8]]) {
        if options.form == .json || options.mode == .publish {
            json.append(table, rows: row..<row + 1)
            // Without the end of the line.
            parts.append(json.take { Array($0.dropLast()) })
            return
        }
        for (field, column) in zip(schema.fields, table.columns) where !column.isNull(row) {
            plain.value(column, row)
            parts.append(Array(field.name.utf8))
            parts.append(plain.take { Array($0) })
        }
    }
}

/// An entry's id in a stream.
struct RedisStreamID: Comparable {
    let block: UInt64
    let place: UInt64

    static func < (a: Self, b: Self) -> Bool { (a.block, a.place) < (b.block, b.place) }

    init(_ block: UInt64, _ place: UInt64) { (self.block, self.place) = (block, place) }

    /// Out of `<block>-<n>`.
    init?(_ text: [UInt8]) {
        let parts = String(decoding: text, as: UTF8.self).split(separator: "-").map { UInt64($0) }
        guard parts.count == 2, let block = parts[0], let place = parts[1] else { return nil }
        self.init(block, place)
    }
}
