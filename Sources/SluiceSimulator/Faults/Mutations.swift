import SluiceCore

/// The JSON text of a block and of its receipts, as `eth_getBlockByNumber` and `eth_getBlockReceipts` give them.
public struct BlockSet: Sendable, Equatable {
    public var block: [UInt8]
    public var receipts: [UInt8]

    public init(block: [UInt8], receipts: [UInt8]) {
        self.block = block
        self.receipts = receipts
    }
}

/// Every way in which one tie between the parts of a block set can be broken while all of it stays valid JSON: what a reader
/// that checks its upstream must refuse, one at a time.
public enum Mutations {
    /// A block set with one thing changed; `name` says which, as `receipts[2].logs[0].address`.
    public struct Mutation: Sendable {
        public let name: String
        public let set: BlockSet
    }

    /// All mutations; of each array the first, a middle and the last element are taken. Throws a `data` error when the text is
    /// no block set.
    public static func all(of set: BlockSet) throws -> [Mutation] {
        do {
            let block = try set.block.withScanner { try blockEdits($0) }.map { edit in
                Mutation(name: edit.name, set: BlockSet(block: edit.applied(to: set.block), receipts: set.receipts))
            }
            let receipts = try set.receipts.withScanner { try receiptEdits($0) }.map { edit in
                Mutation(name: edit.name, set: BlockSet(block: set.block, receipts: edit.applied(to: set.receipts)))
            }
            return block + receipts
        } catch let fault as JSONScanner.Fault {
            throw SluiceError(.recordedFile, .data, "mutating a block set: byte \(fault.offset): expected \(fault.expected)")
        }
    }

    /// The text of a block or of receipts with one drawn mutation; nil when there is none (a null).
    static func pick(block: [UInt8]?, receipts: [UInt8]?, random: inout SeededRandom) -> [UInt8]? {
        let text = block ?? receipts ?? []
        let edits = try? text.withScanner { scanner -> [Edit] in
            block == nil ? try receiptEdits(scanner) : try blockEdits(scanner)
        }
        guard let edits, !edits.isEmpty else { return nil }
        return edits[random.below(edits.count)].applied(to: text)
    }

    // MARK: edits

    /// Ranges of the text and what takes their place, in order.
    struct Edit {
        let name: String
        let changes: [(range: Range<Int>, text: [UInt8])]

        func applied(to bytes: [UInt8]) -> [UInt8] {
            var out: [UInt8] = []
            var at = 0
            for change in changes {
                out.append(contentsOf: bytes[at..<change.range.lowerBound])
                out.append(contentsOf: change.text)
                at = change.range.upperBound
            }
            return out + bytes[at...]
        }
    }

    private static func blockEdits(_ scanner: JSONScanner) throws -> [Edit] {
        let whole = try scanner.document()
        guard scanner.isObject(whole) else { return [] }
        var edits = try fields(scanner, whole, "block", ["hash", "parentHash", "number", "logsBloom", "gasUsed"])
        guard let transactions = try scanner.member("transactions", of: whole) else { return edits }
        let items = try scanner.elements(transactions)
        for index in sample(items.count) where scanner.isObject(items[index]) {
            let name = "transactions[\(index)]"
            edits += try fields(scanner, items[index], name, ["hash", "blockHash", "blockNumber", "transactionIndex"])
        }
        for index in sample(items.count) { edits.append(removal(items, index, "transactions[\(index)] removed")) }
        return edits
    }

    private static func receiptEdits(_ scanner: JSONScanner) throws -> [Edit] {
        let whole = try scanner.document()
        guard scanner.isArray(whole) else { return [] }
        let items = try scanner.elements(whole)
        var edits: [Edit] = []
        for index in sample(items.count) {
            edits += try fields(
                scanner, items[index], "receipts[\(index)]",
                [
                    "transactionHash", "blockHash", "blockNumber", "transactionIndex", "cumulativeGasUsed", "gasUsed", "logsBloom",
                    "from", "to", "type",
                ])
            edits.append(removal(items, index, "receipts[\(index)] removed"))
            edits.append(duplicate(scanner, items[index], "receipts[\(index)] duplicated"))
        }
        if items.count > 1 { edits.append(swap(scanner, items[0], items[items.count - 1], "first and last receipt swapped")) }
        return try edits + logEdits(scanner, items)
    }

    private static func logEdits(_ scanner: JSONScanner, _ receipts: [Range<Int>]) throws -> [Edit] {
        var logs: [(name: String, siblings: [Range<Int>], index: Int)] = []
        for (place, receipt) in receipts.enumerated() {
            guard let list = try scanner.member("logs", of: receipt) else { continue }
            let siblings = try scanner.elements(list)
            for index in siblings.indices { logs.append(("receipts[\(place)].logs[\(index)]", siblings, index)) }
        }
        var edits: [Edit] = []
        for place in sample(logs.count) {
            let (name, siblings, index) = logs[place]
            let log = siblings[index]
            edits += try fields(
                scanner, log, name, ["address", "blockHash", "blockNumber", "transactionHash", "transactionIndex", "logIndex"])
            if let topics = try scanner.member("topics", of: log) {
                for (at, topic) in try scanner.elements(topics).enumerated() {
                    if let edit = change(scanner, topic, "\(name).topics[\(at)]") { edits.append(edit) }
                }
            }
            edits.append(removal(siblings, index, "\(name) removed"))
            edits.append(duplicate(scanner, log, "\(name) duplicated"))
        }
        return edits
    }

    /// One edit for each of these members that is there.
    private static func fields(_ scanner: JSONScanner, _ object: Range<Int>, _ place: String, _ names: [String]) throws -> [Edit] {
        let members = try scanner.members(object)
        return names.compactMap { name in
            guard let member = members.first(where: { scanner.text($0.key) == name }) else { return nil }
            return change(scanner, member.value, "\(place).\(name)")
        }
    }

    /// Another value of the same kind: a quantity one higher, other hex with its last digit changed, an address for a null.
    private static func change(_ scanner: JSONScanner, _ value: Range<Int>, _ name: String) -> Edit? {
        guard let text = scanner.string(value) else {
            guard scanner.kind(value) == UInt8(ascii: "n") else { return nil }
            return Edit(name: name, changes: [(value, Array("\"0x00000000000000000000000000000000000000aa\"".utf8))])
        }
        // 20, 32 and 256 bytes are addresses, hashes and blooms; what is shorter is a quantity.
        if text.utf8.count < 42, let quantity = Hex.quantity(text) {
            return Edit(name: name, changes: [(value, Array("\"\(Hex.quantity(quantity &+ 1))\"".utf8))])
        }
        let last = value.upperBound - 2
        let digit = scanner.bytes[last]
        return Edit(name: name, changes: [(last..<last + 1, [digit == UInt8(ascii: "0") ? UInt8(ascii: "1") : UInt8(ascii: "0")])])
    }

    private static func removal(_ items: [Range<Int>], _ index: Int, _ name: String) -> Edit {
        // With the comma in front of it, or behind it for the first.
        let start = index > 0 ? items[index - 1].upperBound : items[index].lowerBound
        let end = index == 0 && items.count > 1 ? items[1].lowerBound : items[index].upperBound
        return Edit(name: name, changes: [(start..<end, [])])
    }

    private static func duplicate(_ scanner: JSONScanner, _ item: Range<Int>, _ name: String) -> Edit {
        Edit(name: name, changes: [(item.upperBound..<item.upperBound, [UInt8(ascii: ",")] + Array(scanner.bytes[item]))])
    }

    private static func swap(_ scanner: JSONScanner, _ first: Range<Int>, _ second: Range<Int>, _ name: String) -> Edit {
        Edit(name: name, changes: [(first, Array(scanner.bytes[second])), (second, Array(scanner.bytes[first]))])
    }

    private static func sample(_ count: Int) -> [Int] { count == 0 ? [] : Array(Set([0, count / 2, count - 1])).sorted() }
}
