import SluiceCore
import SluiceFormats

/// How a key is made of a table's name, the chain and a row: `block:{chain_id}:{number}`. Values have `%` and `:` percent-encoded, so that no
/// two rows are mixed up.
struct KeyTemplate: Sendable {
    enum Piece: Sendable, Hashable {
        case text([UInt8])
        /// A column, by its place.
        case column(Int)
    }

    private(set) var pieces: [Piece] = []

    /// - Parameter takesColumns: whether columns may be named; else only `{table}` and `{chain_id}`, which are the same for all rows.
    init(_ template: String, prefix: String, table: Schema, chainID: UInt64, takesColumns: Bool) throws(SluiceError) {
        var text = Array(prefix.utf8)
        var rest = template[...]
        func wrong(_ why: String) -> SluiceError {
            SluiceError(
                .redisSinkKey, .config, "the key \(template.jsonQuoted) of table \(table.name) cannot be used: \(why)",
                mend: "write text and names of columns in braces, such as block:{chain_id}:{number}")
        }
        while let brace = rest.firstIndex(where: { $0 == "{" || $0 == "}" }) {
            text += Array(rest[..<brace].utf8)
            guard rest[brace] == "{", let close = rest[brace...].firstIndex(of: "}") else {
                throw wrong("a brace is not closed, or not opened")
            }
            let name = String(rest[rest.index(after: brace)..<close])
            rest = rest[rest.index(after: close)...]
            if name == "table" {
                text += RedisKey.encoded(table.name)
            } else if name == "chain_id" {
                text += Array(String(chainID).utf8)
            } else {
                guard takesColumns else { throw wrong("only {table} and {chain_id} can be in the name of a stream or a channel") }
                guard let index = table.index(of: name) else { throw wrong("there is no column \(name)") }
                guard !table.fields[index].nullable else { throw wrong("column \(name) may be null") }
                if !text.isEmpty { pieces.append(.text(text)) }
                text = []
                pieces.append(.column(index))
            }
        }
        text += Array(rest.utf8)
        if !text.isEmpty { pieces.append(.text(text)) }
        guard !template.isEmpty, !template.hasPrefix("sluice:") else {
            throw wrong("it is empty, or begins with sluice:, which is the sink's own")
        }
        if takesColumns, !pieces.contains(where: { if case .column = $0 { true } else { false } }) {
            throw wrong("it names no column, so all rows would have one key")
        }
    }

    /// The key without what differs from row to row: two tables of one may not be.
    var fixed: [UInt8] {
        pieces.flatMap { piece in
            if case .text(let text) = piece { text } else { [UInt8(ascii: "*")] }
        }
    }

    /// Columns that the key of a row is made of.
    var columns: [Int] { pieces.compactMap { piece in if case .column(let index) = piece { index } else { nil } } }

    /// Writes the key of a row of the table that `text` has begun with.
    func key(_ row: Int, _ schema: Schema, into text: inout TextRows) {
        for piece in pieces {
            switch piece {
            case .text(let bytes): bytes.withUnsafeBytes { text.text($0) }
            case .column(let index):
                let start = text.count
                text.value(index, row)
                switch schema.fields[index].type {
                case .string, .json, .timestamp: text.replace(behind: start) { RedisKey.encoded($0) }
                default: break
                }
            }
        }
    }
}
