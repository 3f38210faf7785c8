import SluiceCore

/// The rows of one transfer table while they grow. What a transfer shares with its log is gathered at the end, column by column.
struct TransferRows {
    private let schema: Schema
    private let logs: Table
    private let topics: [Column]
    private let data: Column
    /// The log that each row came from.
    private var source: [Int] = []
    private var addresses: [ColumnBuilder]
    private var amounts: [ColumnBuilder]
    private var batchIndex = ColumnBuilder(.int64)

    init(_ schema: Schema, logs: Table) {
        self.schema = schema
        self.logs = logs
        topics = ["topic0", "topic1", "topic2", "topic3"].compactMap { logs.column($0) }
        guard topics.count == 4, let data = logs.column("data") else { preconditionFailure("not the table logs") }
        self.data = data
        addresses = schema.fields.filter { Self.partyNames.contains($0.name) }.map { ColumnBuilder($0.type, capacity: logs.rowCount) }
        amounts = schema.fields.filter { $0.type == .uint256 }.map { ColumnBuilder($0.type, capacity: logs.rowCount) }
    }

    private static let partyNames: Set<String> = ["operator_address", "from_address", "to_address"]

    /// Three topics, one word of data.
    mutating func appendERC20(_ row: Int) {
        guard isEvent(row, TransferTopics.transfer), topics[3].isNull(row), data.bytes(row).count == 32, hasAddresses(row, 1...2) else {
            return
        }
        append(row, parties: 1...2, words: [data.bytes(row)])
    }

    /// Four topics, no data.
    mutating func appendERC721(_ row: Int) {
        guard isEvent(row, TransferTopics.transfer), !topics[3].isNull(row), data.bytes(row).isEmpty, hasAddresses(row, 1...2) else {
            return
        }
        append(row, parties: 1...2, words: [topics[3].bytes(row)])
    }

    /// Four topics; the data holds an id and an amount, or two arrays of equal length.
    mutating func appendERC1155(_ row: Int) {
        guard !topics[3].isNull(row), hasAddresses(row, 1...3) else { return }
        let bytes = data.bytes(row)
        if isEvent(row, TransferTopics.transferSingle) {
            guard bytes.count == 64 else { return }
            append(row, parties: 1...3, words: [slice(bytes, word: 0), slice(bytes, word: 1)])
            batchIndex.append(Int64(0))
        } else if isEvent(row, TransferTopics.transferBatch) {
            guard let ids = array(bytes, head: 0), let values = array(bytes, head: 1), ids.count == values.count else { return }
            for (place, (id, value)) in zip(ids, values).enumerated() {
                append(row, parties: 1...3, words: [slice(bytes, word: id), slice(bytes, word: value)])
                batchIndex.append(Int64(place))
            }
        }
    }

    consuming func finish() -> Table {
        let source = source
        var parties = addresses.map { $0.finish() }[...]
        var words = amounts.map { $0.finish() }[...]
        let batch = batchIndex.finish()
        let logs = logs
        let columns = schema.fields.map { field -> Column in
            if field.name == "batch_index" { return batch }
            if Self.partyNames.contains(field.name) { return parties.removeFirst() }
            if field.type == .uint256 { return words.removeFirst() }
            guard let shared = logs.column(field.name == "token_address" ? "address" : field.name) else {
                preconditionFailure("the table logs has no \(field.name)")
            }
            return shared.rows(source)
        }
        return Table(schema: schema, columns: columns, rowCount: source.count)
    }

    private func isEvent(_ row: Int, _ topic: Hash32) -> Bool { !topics[0].isNull(row) && topics[0].load(row, as: Hash32.self) == topic }

    /// Whether these topics are there and hold an address each: twelve zero bytes in front.
    private func hasAddresses(_ row: Int, _ places: ClosedRange<Int>) -> Bool {
        places.allSatisfy { !topics[$0].isNull(row) && topics[$0].bytes(row).prefix(12).allSatisfy { $0 == 0 } }
    }

    private mutating func append(_ row: Int, parties: ClosedRange<Int>, words: [UnsafeRawBufferPointer]) {
        source.append(row)
        for (index, place) in parties.enumerated() {
            addresses[index].append(bytes: UnsafeRawBufferPointer(rebasing: topics[place].bytes(row)[12...]))
        }
        for (index, word) in words.enumerated() { amounts[index].append(UInt256(word: word)) }
    }

    private func slice(_ bytes: UnsafeRawBufferPointer, word: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[word * 32..<word * 32 + 32])
    }

    /// The words that hold the elements of the dynamic array whose offset stands in word `head`; nil when the data ends before it.
    private func array(_ bytes: UnsafeRawBufferPointer, head: Int) -> Range<Int>? {
        guard let offset = length(bytes, at: head), offset % 32 == 0, let count = length(bytes, at: offset / 32) else { return nil }
        let first = offset / 32 + 1
        guard count <= bytes.count / 32, first + count <= bytes.count / 32 else { return nil }
        return first..<first + count
    }

    /// Word `word` as a length in bounds of the data; nil when it is larger, or not there.
    private func length(_ bytes: UnsafeRawBufferPointer, at word: Int) -> Int? {
        guard word >= 0, (word + 1) * 32 <= bytes.count, let value = UInt256(bigEndian: slice(bytes, word: word)) else { return nil }
        return value.high == 0 && value.low <= UInt128(bytes.count) ? Int(value.low) : nil
    }
}
