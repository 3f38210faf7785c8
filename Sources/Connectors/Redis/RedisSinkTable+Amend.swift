import SluiceCore
import SluiceFormats

// What amendments need to know of a table of mode `latest`.
extension RedisSinkTable {
    /// Under which keys rows at the places of an amendment stand, where that depends on nothing else; none where it does.
    func keys(at amendment: Amendment) -> [[UInt8]] {
        guard let place = schema.index(of: amendment.column) else { return [] }
        return keys(amendment.block, amendment.timestamp, amendment.chainID, amendment.places.sorted(), place: place)
    }

    /// The key of a block's only row, where it depends on nothing else.
    func key(of block: BlockRef) -> String? {
        keys(block, nil, nil, [0], place: nil).first.map { String(decoding: $0, as: UTF8.self) }
    }

    private func keys(_ block: BlockRef, _ timestamp: UInt64?, _ chainID: UInt64?, _ places: [UInt64], place: Int?) -> [[UInt8]] {
        let hash = schema.blockHashField.flatMap(schema.index)
        let time = schema.fields.firstIndex { $0.name == "block_timestamp" && $0.type == .timestamp }
        let chain = schema.index(of: "chain_id")
        var builders = schema.fields.map { ColumnBuilder($0.type) }
        for index in schema.fields.indices {
            for own in places {
                if index == number {
                    builders[index].append(block.number)
                } else if index == hash {
                    builders[index].append(bytes: block.hash.bytes)
                } else if index == place {
                    builders[index].append(own)
                } else if index == time, let timestamp {
                    builders[index].append(Int64(timestamp) * 1_000_000)
                } else if index == chain, let chainID {
                    builders[index].append(chainID)
                } else {
                    if template.columns.contains(index) { return [] }
                    builders[index].appendNull()
                }
            }
        }
        let table = Table(schema: schema, columns: builders.map { $0.finish() }, rowCount: places.count)
        return rows(table).map(\.key)
    }

    /// Key and parts of the value of each row.
    private func rows(_ table: Table, values: Bool = false) -> [(key: [UInt8], parts: [[UInt8]])] {
        var json = TextRows(.jsonl)
        var plain = TextRows(.csv)
        json.begin(table)
        plain.begin(table)
        var all: [(key: [UInt8], parts: [[UInt8]])] = []
        for row in 0..<table.rowCount {
            template.key(row, schema, into: &plain)
            let key = plain.take { Array($0) }
            var parts: [[UInt8]] = []
            if values, isJSON {
                json.line(row)
                parts.append(json.take { Array($0.dropLast()) })
            } else if values {
                for index in names.indices where !plain.isNull(index, row) {
                    plain.value(index, row)
                    parts += [names[index], plain.take { Array($0) }]
                }
            }
            all.append((key, parts))
        }
        return all
    }

    /// What the script that amends is given.
    func arguments(_ amendment: Amendment, _ base: [UInt8], keeps: Bool) -> [[UInt8]] {
        let (places, keys) = (amendment.places.sorted(), keys(at: amendment))
        var all = [
            base, bytes("\(amendment.block.number)"), bytes(keeps ? "1" : "0"), bytes(timeToLive), names[number], bytes(isJSON ? "J" : "F"),
            bytes(amendment.column), bytes("\(places.count)"),
        ]
        all += places.map { bytes("\($0)") } + [bytes("\(keys.count)")] + keys
        let own = amendment.rows.column(amendment.column)
        for (row, parts) in rows(amendment.rows, values: true).enumerated() {
            all += [bytes("\(own?.load(row, as: UInt64.self) ?? 0)"), parts.key, bytes("\(parts.parts.count)")] + parts.parts
        }
        return all
    }

    /// Bytes of the longest part of each row.
    func longestParts(_ table: Table) -> [Int] {
        rows(table, values: true).map { row in max(row.key.count, row.parts.map(\.count).max() ?? 0) }
    }
}
