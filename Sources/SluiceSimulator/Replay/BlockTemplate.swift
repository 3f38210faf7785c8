import Glibc
import SluiceCore

/// One recorded block, ready to be served under many numbers.
final class BlockTemplate {
    /// What is written anew when a block is re-numbered.
    enum Slot {
        case number, hash, parentHash, timestamp
    }

    struct Values {
        let number: UInt64
        let hash: Hash32
        let parentHash: Hash32
        let timestamp: UInt64
    }

    let recordedNumber: UInt64
    let recordedHash: Hash32
    let recordedParent: Hash32
    /// Nil when the block is only served as recorded.
    let seal: HeaderSeal?
    let block: RenderPool
    let hashes: RenderPool
    let receipts: RenderPool?
    private var indexes: [Int: ReceiptIndex] = [:]
    /// The number it was last asked for: where its transactions are then looked up.
    var lastServed: UInt64?

    /// From the text of a block and of its receipts. Throws a text that says what is wrong with them.
    init(block: UnsafeBufferPointer<UInt8>, receipts: UnsafeBufferPointer<UInt8>?, renumber: Bool) throws {
        let scanner = JSONScanner(block)
        let whole = try scanner.document()
        let members = try scanner.members(whole)
        var slots: [(Range<Int>, Slot)] = []
        var found: [String: String] = [:]
        var transactions: Range<Int>?
        for member in members {
            if scanner.equals(member.key, "transactions") { transactions = member.value }
            guard let slot = Self.blockSlot(scanner, member.key) else { continue }
            guard let text = scanner.string(member.value) else {
                throw HeaderSeal.FieldFault(name: "block.\(scanner.text(member.key))", problem: "is not a string")
            }
            found[scanner.text(member.key)] = text
            slots.append((Self.inner(member.value), slot))
        }
        recordedNumber = try Self.quantity(found, "number")
        recordedHash = try Self.hash(found, "hash")
        recordedParent = try Self.hash(found, "parentHash")
        let timestamp = try Self.quantity(found, "timestamp")
        guard let transactions else { throw HeaderSeal.FieldFault(name: "block.transactions", problem: "is missing") }
        var hashOnly: [UInt8] = [UInt8(ascii: "[")]
        let headSlots = slots
        for (index, transaction) in try scanner.elements(transactions).enumerated() {
            guard scanner.isObject(transaction), let hash = try scanner.member("hash", of: transaction) else {
                throw HeaderSeal.FieldFault(name: "block.transactions[\(index)]", problem: "is no transaction with a hash")
            }
            if index > 0 { hashOnly.append(UInt8(ascii: ",")) }
            hashOnly.append(contentsOf: scanner.bytes[hash])
            try Self.collect(scanner, transaction, &slots)
        }
        hashOnly.append(UInt8(ascii: "]"))
        seal = renumber ? try HeaderSeal(scanner, members: members) : nil
        if let seal, seal.hash(number: recordedNumber, parent: recordedParent, timestamp: timestamp) != recordedHash {
            throw HeaderSeal.FieldFault(name: "block.hash", problem: "is not the hash of the header")
        }
        let open = renumber ? slots : []
        self.block = RenderPool(source: block, slots: open)
        hashes = RenderPool(source: block, slots: renumber ? headSlots : [], replacing: transactions, by: hashOnly)
        self.receipts = try receipts.map { try Self.receiptsPool($0, renumber: renumber) }
    }

    /// Where receipts and logs lie, for numbers of so many digits.
    func index(_ values: Values) throws -> ReceiptIndex? {
        guard let receipts else { return nil }
        let width = Hex.quantity(values.number).utf8.count
        if let known = indexes[width] { return known }
        let made = try ReceiptIndex(scanning: receipts.text(values).bytes)
        indexes[width] = made
        return made
    }

    private static func receiptsPool(_ bytes: UnsafeBufferPointer<UInt8>, renumber: Bool) throws -> RenderPool {
        let scanner = JSONScanner(bytes)
        var slots: [(Range<Int>, Slot)] = []
        for receipt in try scanner.elements(try scanner.document()) {
            try collect(scanner, receipt, &slots)
            guard let logs = try scanner.member("logs", of: receipt) else { continue }
            for log in try scanner.elements(logs) { try collect(scanner, log, &slots) }
        }
        return RenderPool(source: bytes, slots: renumber ? slots.sorted { $0.0.lowerBound < $1.0.lowerBound } : [])
    }

    /// The slots of a transaction, a receipt or a log.
    private static func collect(_ scanner: JSONScanner, _ object: Range<Int>, _ slots: inout [(Range<Int>, Slot)]) throws {
        for member in try scanner.members(object) where scanner.isString(member.value) {
            if scanner.equals(member.key, "blockHash") {
                slots.append((inner(member.value), .hash))
            } else if scanner.equals(member.key, "blockNumber") {
                slots.append((inner(member.value), .number))
            } else if scanner.equals(member.key, "blockTimestamp") {
                slots.append((inner(member.value), .timestamp))
            }
        }
    }

    private static func blockSlot(_ scanner: JSONScanner, _ key: Range<Int>) -> Slot? {
        if scanner.equals(key, "number") { return .number }
        if scanner.equals(key, "hash") { return .hash }
        if scanner.equals(key, "parentHash") { return .parentHash }
        if scanner.equals(key, "timestamp") { return .timestamp }
        return nil
    }

    private static func inner(_ value: Range<Int>) -> Range<Int> { value.lowerBound + 1..<value.upperBound - 1 }

    private static func quantity(_ found: [String: String], _ name: String) throws -> UInt64 {
        guard let text = found[name] else { throw HeaderSeal.FieldFault(name: "block.\(name)", problem: "is missing") }
        guard let value = Hex.quantity(text) else { throw HeaderSeal.FieldFault(name: "block.\(name)", problem: "is not a quantity") }
        return value
    }

    private static func hash(_ found: [String: String], _ name: String) throws -> Hash32 {
        guard let text = found[name] else { throw HeaderSeal.FieldFault(name: "block.\(name)", problem: "is missing") }
        guard let value = Hash32(hex: text) else { throw HeaderSeal.FieldFault(name: "block.\(name)", problem: "is not 32 bytes") }
        return value
    }
}

/// Copies of one text, patched for different block numbers. A copy that no answer in flight points into is patched in place, so
/// that serving a block again under another number writes a few hundred fields and copies nothing.
final class RenderPool {
    private struct Copy {
        var values: UInt64
        var text: SharedText
    }

    /// The text for numbers of one width: placeholders where the slots are.
    private final class Layout {
        var copies: [Copy]
        let slots: [(Int, BlockTemplate.Slot)]
        init(copies: [Copy], slots: [(Int, BlockTemplate.Slot)]) {
            self.copies = copies
            self.slots = slots
        }
    }

    /// The text between the slots, one piece more than there are slots.
    private let pieces: [Range<Int>]
    private let source: [UInt8]
    private let slots: [BlockTemplate.Slot]
    private var layouts: [Int: Layout] = [:]

    /// `slots` must be in order; those inside `replacing` (of which the text becomes `by`) must be left out.
    init(
        source: UnsafeBufferPointer<UInt8>, slots: [(Range<Int>, BlockTemplate.Slot)], replacing: Range<Int>? = nil, by: [UInt8] = []
    ) {
        // Only the text outside the slots is kept, in one array.
        var kept: [UInt8] = []
        kept.reserveCapacity(source.count)
        var pieces: [Range<Int>] = []
        var at = 0
        var pieceStart = 0
        var pending = replacing
        func copy(_ end: Int) {
            if let range = pending, range.lowerBound >= at, range.upperBound <= end {
                kept.append(contentsOf: UnsafeBufferPointer(rebasing: source[at..<range.lowerBound]))
                kept.append(contentsOf: by)
                at = range.upperBound
                pending = nil
            }
            kept.append(contentsOf: UnsafeBufferPointer(rebasing: source[at..<end]))
            pieces.append(pieceStart..<kept.count)
            pieceStart = kept.count
        }
        let ordered = slots.sorted { $0.0.lowerBound < $1.0.lowerBound }
        for (range, _) in ordered {
            copy(range.lowerBound)
            at = range.upperBound
        }
        copy(source.count)
        self.source = kept
        self.pieces = pieces
        self.slots = ordered.map(\.1)
    }

    /// The text with these values in its slots.
    func text(_ values: BlockTemplate.Values) -> SharedText {
        let number = Array(Hex.quantity(values.number).utf8)
        let layout = layouts[number.count] ?? makeLayout(width: number.count)
        if layout.slots.isEmpty { return layout.copies[0].text }
        var free: Int?
        for index in layout.copies.indices {
            if layout.copies[index].values == values.number { return layout.copies[index].text }
            if free == nil, isKnownUniquelyReferenced(&layout.copies[index].text) { free = index }
        }
        let index: Int
        if let free {
            index = free
        } else {
            let model = layout.copies[0].text
            let copy = SharedText(count: model.count) { $0.update(from: model.base, count: model.count) }
            layout.copies.append(Copy(values: .max, text: copy))
            index = layout.copies.count - 1
        }
        patch(layout.copies[index].text.base, layout.slots, values, number)
        layout.copies[index].values = values.number
        return layout.copies[index].text
    }

    private func patch(
        _ base: UnsafeMutablePointer<UInt8>, _ slots: [(Int, BlockTemplate.Slot)], _ values: BlockTemplate.Values, _ number: [UInt8]
    ) {
        let hash = Array(values.hash.description.utf8)
        let parent = Array(values.parentHash.description.utf8)
        let timestamp = Array(Hex.quantity(values.timestamp).utf8)
        for (offset, slot) in slots {
            switch slot {
            case .number: (base + offset).update(from: number, count: number.count)
            case .hash: (base + offset).update(from: hash, count: 66)
            case .parentHash: (base + offset).update(from: parent, count: 66)
            case .timestamp: (base + offset).update(from: timestamp, count: timestamp.count)
            }
        }
    }

    private func makeLayout(width: Int) -> Layout {
        let widths = slots.map { slot in
            switch slot {
            case .number: width
            case .hash, .parentHash: 66
            case .timestamp: ReplayChain.timestampDigits
            }
        }
        var offsets: [(Int, BlockTemplate.Slot)] = []
        let text = SharedText(count: source.count + widths.reduce(0, +)) { target in
            source.withUnsafeBufferPointer { source in
                var at = 0
                for (index, piece) in pieces.enumerated() {
                    (target + at).update(from: UnsafeBufferPointer(rebasing: source[piece]))
                    at += piece.count
                    guard index < slots.count else { continue }
                    offsets.append((at, slots[index]))
                    memset(target + at, 0x30, widths[index])
                    at += widths[index]
                }
            }
        }
        let layout = Layout(copies: [Copy(values: .max, text: text)], slots: offsets)
        layouts[width] = layout
        return layout
    }
}
