import SluiceCore

/// A record as it came; valid while its message is held.
struct SourceRecord {
    /// Whose time a record's is.
    enum Clock: String { case create = "create_time", append = "log_append_time" }

    let offset: Int64
    /// Milliseconds since 1970.
    let time: Int64?
    let clock: Clock?
    let key: UnsafeRawBufferPointer?
    /// nil: a tombstone.
    let value: UnsafeRawBufferPointer?
    let headers: [(name: [UInt8], value: [UInt8]?)]

    var byteCount: Int { (key?.count ?? 0) + (value?.count ?? 0) + headers.reduce(0) { $0 + $1.name.count + ($1.value?.count ?? 0) } }
}

/// Makes a batch of records. Pure.
struct RecordRows {
    private let part: SourcePart
    private let topic: String
    private let payload: KafkaSourceOptions.Payload
    private let first: UInt64
    private var columns: [ColumnBuilder]
    private var stamps: [BlockStamp] = []
    private var rows = 0
    /// As they came from the broker.
    private(set) var byteCount = 0

    /// - Parameter first: the offset at which the batch begins, whether there is a record or not.
    init(_ part: SourcePart, topic: String, payload: KafkaSourceOptions.Payload, first: UInt64) {
        self.part = part
        self.topic = topic
        self.payload = payload
        self.first = first
        columns = KafkaRegisters.records.fields.map { ColumnBuilder($0.type) }
    }

    /// The offset behind what it covers so far.
    var end: UInt64 { first + UInt64(stamps.count) }

    /// Adds the record of the next offset that there is; what lies before it holds none.
    mutating func add(_ record: SourceRecord) {
        // Producers may send any number; beyond the year 9999 no store takes it for a time.
        let time = record.time.flatMap { (-62_135_596_800_000...253_402_300_799_999).contains($0) ? $0 : nil }
        let seconds = UInt64(max(0, (time ?? 0) / 1000))
        cover(through: UInt64(record.offset), at: seconds)
        rows += 1
        byteCount += record.byteCount
        columns[0].append(topic)
        columns[1].append(Int64(part.number))
        columns[2].append(record.offset)
        columns[3].append((time ?? 0) * 1000)
        if let clock = record.clock, time != nil { columns[4].append(clock.rawValue) } else { columns[4].appendNull() }
        append(record.key, to: 5)
        append(record.key.flatMap { PayloadText.isText($0) ? $0 : nil }, to: 6)
        append(record.value, to: 7)
        let isJSON = payload == .json && record.value.map { PayloadText.isJSON($0) } ?? false
        let isText = payload != .bytes && !isJSON && record.value.map { PayloadText.isText($0) } ?? false
        append(isText ? record.value : nil, to: 8)
        append(isJSON ? record.value : nil, to: 9)
        if record.headers.isEmpty { columns[10].appendNull() } else { columns[10].append(PayloadText.headers(record.headers)) }
        columns[11].append(Int64(clamping: part.chainID))
    }

    /// Notes that there is no record more up to an offset.
    mutating func cover(through offset: UInt64, at seconds: UInt64? = nil) {
        guard offset >= end else { return }
        let seconds = seconds ?? stamps.last?.timestamp ?? 0
        for number in end...offset {
            stamps.append(BlockStamp(hash: MadeChain.hash(part.chainID, Int64(clamping: number)), timestamp: seconds))
        }
    }

    /// The batch; nil when it would cover nothing.
    consuming func finish() -> Batch? {
        guard !stamps.isEmpty else { return nil }
        let span = Span(first: first, parentHash: MadeChain.hash(part.chainID, Int64(clamping: first) - 1), blocks: stamps)
        let table = Table(schema: KafkaRegisters.records, columns: columns.map { $0.finish() }, rowCount: rows)
        return Batch(chainID: part.chainID, span: span, tables: [table])
    }

    private mutating func append(_ bytes: UnsafeRawBufferPointer?, to column: Int) {
        if let bytes { columns[column].append(bytes: bytes) } else { columns[column].appendNull() }
    }
}
