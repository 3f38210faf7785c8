import Foundation
import SluiceCore

/// The tables of a block as Foundation reads the JSON: every value as text, the way `Column.text` gives it.
enum IndependentDecode {
    /// JSON keys of columns whose name is not the snake case of the key.
    private static let keys: [String: String] = [
        "from_address": "from", "to_address": "to", "transaction_type": "type", "sha3_uncles": "sha3Uncles",
    ]

    static func key(_ column: String) -> String {
        if let key = keys[column] { return key }
        let words = column.split(separator: "_")
        return String(words[0]) + words.dropFirst().map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    }

    /// Decimal digits of a hex quantity, worked out digit by digit.
    static func decimal(_ hex: String) -> String {
        var digits = [0]
        for digit in hex.dropFirst(2) {
            var carry = digit.hexDigitValue ?? 0
            for at in digits.indices {
                let value = digits[at] * 16 + carry
                digits[at] = value % 10
                carry = value / 10
            }
            while carry > 0 {
                digits.append(carry % 10)
                carry /= 10
            }
        }
        while digits.count > 1, digits.last == 0 { digits.removeLast() }
        return digits.reversed().map(String.init).joined()
    }

    /// A JSON value as a column of that type must show it.
    static func show(_ value: Any?, _ type: LogicalType) -> String {
        guard let value, !(value is NSNull) else { return "null" }
        if case .json = type {
            let data = try? JSONSerialization.data(withJSONObject: value, options: [.sortedKeys, .fragmentsAllowed])
            return data.map { String(decoding: $0, as: UTF8.self) } ?? "no JSON"
        }
        guard let text = value as? String else { return "\(value)" }
        switch type {
        case .int64, .uint64, .decimal, .uint256: return decimal(text)
        case .timestamp: return decimal(text) + "000000"
        default: return text.lowercased()
        }
    }

    /// Keys that no column takes, and that are not wanted.
    private static let left: [String: Set<String>] = [
        "blocks": ["transactions", "uncles", "withdrawals"], "transactions": ["v", "r", "s", "yParity", "chainId", "blockTimestamp"],
        "logs": ["topics", "removed", "blockTimestamp"],
        "receipts": ["transactionHash", "transactionIndex", "blockHash", "blockNumber", "logsBloom", "from", "to", "type", "logs"],
    ]

    /// What is in an object besides the columns of a table, as JSON with its keys sorted; nothing is null.
    private static func rest(of item: Object, knownIn schema: Schema, receipts: Bool) -> String {
        let names = schema.fields.map(\.name).filter { $0.hasPrefix("receipt_") == receipts }.map {
            receipts ? String($0.dropFirst(8)) : $0
        }
        let known = Set(names.map(key)).union(left[receipts ? "receipts" : schema.name] ?? [])
        let rest = item.filter { !known.contains($0.key) }
        return rest.isEmpty ? "null" : show(rest, .json)
    }

    /// The rows of a table, each with its values in the order of the schema's fields.
    static func rows(_ schema: Schema, block: Object, receipts: [Object], chainID: Int) -> [[String]] {
        let items: [(Object, Object?)] =
            switch schema.name {
            case "blocks": [(block, nil)]
            case "transactions": zip(block["transactions"] as? [Object] ?? [], receipts).map { ($0, $1) }
            case "withdrawals": (block["withdrawals"] as? [Object] ?? []).map { ($0, nil) }
            default: receipts.flatMap { $0["logs"] as? [Object] ?? [] }.map { ($0, nil) }
            }
        return items.map { item, receipt in
            schema.fields.map { field in
                switch field.name {
                case "chain_id": return String(chainID)
                case "block_timestamp": return show(block["timestamp"], .timestamp)
                case "block_number": return show(block["number"], field.type)
                case "block_hash": return show(block["hash"], field.type)
                case "transaction_count": return String((block["transactions"] as? [Any])?.count ?? -1)
                case "topic0", "topic1", "topic2", "topic3":
                    let place = Int(field.name.suffix(1)) ?? 0
                    let topics = item["topics"] as? [String] ?? []
                    return place < topics.count ? show(topics[place], field.type) : "null"
                case "extra": return rest(of: item, knownIn: schema, receipts: false)
                case "receipt_extra": return rest(of: receipt ?? [:], knownIn: schema, receipts: true)
                default:
                    if field.name.hasPrefix("receipt_"), let receipt {
                        return show(receipt[key(String(field.name.dropFirst(8)))], field.type)
                    }
                    return show(item[key(field.name)], field.type)
                }
            }
        }
    }

    /// Token transfers, read off the logs by the words of the standards.
    static func transfers(_ name: String, receipts: [Object]) -> [[String]] {
        var rows: [[String]] = []
        for log in receipts.flatMap({ $0["logs"] as? [Object] ?? [] }) {
            let topics = (log["topics"] as? [String] ?? []).map { String($0.dropFirst(2)).lowercased() }
            let data = String((log["data"] as? String ?? "0x").dropFirst(2))
            let token = (log["address"] as? String ?? "").lowercased()
            let index = decimal(log["logIndex"] as? String ?? "0x0")
            func address(_ place: Int) -> String? {
                topics[place].hasPrefix(String(repeating: "0", count: 24)) ? "0x" + topics[place].suffix(40) : nil
            }
            func word(_ place: Int) -> String? {
                let digits = Array(data)
                return place >= 0 && (place + 1) * 64 <= digits.count ? String(digits[place * 64..<(place + 1) * 64]) : nil
            }
            func number(_ word: String?) -> Int? {
                word.flatMap { word in word.drop { $0 == "0" }.count > 8 ? nil : Int(word.suffix(9), radix: 16) }
            }
            func list(_ head: Int) -> [String]? {
                guard let offset = number(word(head)), offset % 32 == 0, let count = number(word(offset / 32)) else { return nil }
                var items: [String] = []
                for place in 0..<min(count, 100_000) {
                    guard let item = word(offset / 32 + 1 + place) else { return nil }
                    items.append(item)
                }
                return items
            }
            switch (name, topics.first) {
            case ("erc20_transfers", transfer) where topics.count == 3 && data.count == 64:
                guard let from = address(1), let to = address(2) else { continue }
                rows.append([token, from, to, decimal("0x" + data), index])
            case ("erc721_transfers", transfer) where topics.count == 4 && data.isEmpty:
                guard let from = address(1), let to = address(2) else { continue }
                rows.append([token, from, to, decimal("0x" + topics[3]), index])
            case ("erc1155_transfers", single) where topics.count == 4 && data.count == 128:
                guard let by = address(1), let from = address(2), let to = address(3), let id = word(0), let value = word(1) else {
                    continue
                }
                rows.append([token, by, from, to, decimal("0x" + id), decimal("0x" + value), "0", index])
            case ("erc1155_transfers", batch) where topics.count == 4:
                guard let by = address(1), let from = address(2), let to = address(3) else { continue }
                guard let ids = list(0), let values = list(1), ids.count == values.count else { continue }
                for (place, (id, value)) in zip(ids, values).enumerated() {
                    rows.append([token, by, from, to, decimal("0x" + id), decimal("0x" + value), String(place), index])
                }
            default: continue
            }
        }
        return rows
    }

    // keccak-256 of the events' signatures, as EIP-20, EIP-721 and EIP-1155 list them.
    static let transfer = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    static let single = "c3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62"
    static let batch = "4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb"
}

extension Column {
    /// A value as text.
    func shown(_ row: Int) -> String {
        if isNull(row) { return "null" }
        switch type {
        case .int64, .timestamp: return String(load(row, as: Int64.self))
        case .uint64: return String(load(row, as: UInt64.self))
        case .decimal: return String(load(row, as: UInt128.self))
        case .uint256: return UInt256(bigEndian: bytes(row).reversed())?.description ?? "?"
        case .json:
            return IndependentDecode.show(try? JSONSerialization.jsonObject(with: Data(bytes(row)), options: [.fragmentsAllowed]), .json)
        default: return Hex.text(bytes(row))
        }
    }
}

extension Table {
    /// All values as text, row by row; of some columns only, when named.
    func shown(_ names: [String]? = nil) -> [[String]] {
        let columns = names.map { $0.compactMap { column($0) } } ?? self.columns
        return (0..<rowCount).map { row in columns.map { $0.shown(row) } }
    }
}
