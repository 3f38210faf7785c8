import SluiceCore
import SluiceFormats

/// What becomes of the rows of one table.
struct RedisSinkTable: Sendable {
    let schema: Schema
    let options: RedisTableOptions
    let template: KeyTemplate
    /// The column by which blocks are undone.
    let number: Int
    /// Of the columns.
    let names: [[UInt8]]
    /// What the command of an entry begins with, as it is sent, up to its id; and how many parts it has beside its value.
    let entryHead: [UInt8]
    let entryParts: Int

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
        names = schema.fields.map { Array($0.name.utf8) }
        (entryParts, entryHead) = Self.head(self.options, template.fixed, isJSON: self.options.form == .json)
    }

    /// The name of the stream or channel.
    var target: [UInt8] { template.fixed }

    /// What must not change while blocks are there.
    var line: String {
        "\(schema.name) \(options.mode.rawValue) \(options.form.rawValue) \(String(decoding: RedisKey.encoded(options.key ?? ""), as: UTF8.self))"
    }

    /// Seconds that a value lives; `0` for ever.
    var timeToLive: String { "\(options.timeToLive?.components.seconds ?? 0)" }

    var isJSON: Bool { options.form == .json || options.mode == .publish }

    /// Whether values are put down as they are, several at once.
    var sets: Bool { isJSON && options.timeToLive == nil }

    /// What an entry's command begins with, but for its id: so many parts, the id among them and the name that JSON stands under.
    private static func head(_ options: RedisTableOptions, _ target: [UInt8], isJSON: Bool) -> (count: Int, bytes: [UInt8]) {
        var head = RedisCommands()
        head.add("XADD")
        head.add(target)
        if let length = options.maxLength {
            head.add("MAXLEN")
            head.add("~")
            head.add("\(length)")
        }
        return (3 + (options.maxLength == nil ? 0 : 3) + (isJSON ? 1 : 0), Array(head.bytes))
    }

    /// The name that the JSON of an entry stands under, as it is sent.
    static let rowName: [UInt8] = Array("$3\r\nrow\r\n".utf8)

    /// Arguments of the script that puts values down, before those of rows.
    static let putArguments = 6

    func addPut(_ base: [UInt8], _ block: UInt64, keeps: Bool, to commands: inout RedisCommands) {
        commands.add(base)
        commands.add("\(block)")
        commands.add(keeps ? "1" : "0")
        commands.add(timeToLive)
        commands.add(names[number])
        commands.add(isJSON ? "J" : "F")
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
