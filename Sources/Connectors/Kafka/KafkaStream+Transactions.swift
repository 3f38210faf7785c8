import SluiceCore
import SluiceFormats

/// What a transaction brings beside batches.
struct Change {
    var takingBack: [StandingRow] = []
    var amendments: [Amendment] = []
}

extension HeldRefusal {
    init(_ refused: [Refusal], of batches: [Batch]) {
        self.init()
        for refusal in refused {
            let batch = batches[refusal.batch]
            add(refusal.row, of: batch.tables[refusal.table], in: batch.span, reason: refusal.reason)
        }
    }
}

// Transactions: what is held, the position that it brings the stream to, and what takes the place of what is there.
extension KafkaStream {
    /// Commits what is held, and a change.
    /// - Throws: `HeldRefusal` when some of its rows are refused: nothing is committed then, and all is held still. After anything else the
    ///   stream is lost.
    func commit(_ change: Change = Change()) throws {
        let refused = try guarded { try attempt(held, change, taken) }
        guard refused.isEmpty else { throw HeldRefusal(refused, of: held) }
        if let last = held.last { news = last.span.last }
        drop()
    }

    /// Commits what is held.
    /// - Throws: `RowsRefused` when some of its rows are: they are taken out of what is held then.
    func commitTaken() throws {
        do { try commit() } catch let refusal as HeldRefusal {
            held = refusal.taken(from: held)
            throw RowsRefused(refusal.rows)
        }
    }

    /// Commits amendments alone, whatever is held.
    /// - Throws: `RowsRefused` when some of their rows are, and nothing is changed then.
    func commitAlone(_ change: Change) throws {
        let refused = try guarded { try attempt([], change, record.coverage) }
        guard !refused.isEmpty else { return }
        throw RowsRefused(
            refused.map { refusal in
                let amendment = change.amendments[refusal.batch]
                return RefusedRow(
                    amendment.rows, refusal.row, block: amendment.block, reason: refusal.reason.code, message: refusal.reason.message)
            })
    }

    /// Runs what speaks to brokers: should it fail, what was taken and not committed is forgotten.
    func guarded<R>(_ body: () throws -> R) throws -> R {
        do { return try body() } catch {
            producer = nil
            drop()
            lost = true
            throw noted(error)
        }
    }

    /// Sends batches and a change, and commits them.
    /// - Returns: rows that are refused, so that nothing was committed; none when all is there.
    private func attempt(_ batches: [Batch], _ change: Change, _ coverage: Coverage) throws -> [Refusal] {
        while true {
            if producer == nil { try reconnect() }
            guard let producer else { throw id.isNotOpen }
            let next = next(batches, coverage, producer)
            try producer.begin()
            let (unwritable, suspects): ([Refusal], [Refusal])
            do {
                (unwritable, suspects) = try send(batches, change, next, by: producer)
                if unwritable.isEmpty, suspects.isEmpty { try producer.commit() }
            } catch {
                producer.abort()
                throw error
            }
            if unwritable.isEmpty, suspects.isEmpty {
                record = next
                return []
            }
            // Brokers that were asked to end it are not waited for twice: the next claim does so.
            if suspects.isEmpty { producer.abort() }
            self.producer = nil
            guard unwritable.isEmpty else { return unwritable }
            let (found, size) = try tried(suspects, batches, change)
            if !found.isEmpty { return found }
            // None of them is refused when it is alone: it is their batch that was too large for the topic.
            guard let first = suspects.first, first.reason.code == .kafkaTooLarge, batchBytes > Self.leastBatch else {
                throw suspects.first?.reason ?? id.isNotOpen
            }
            batchBytes = max(Self.leastBatch, min(batchBytes, size) / 2)
        }
    }

    private static let leastBatch = 1000

    private func next(_ batches: [Batch], _ coverage: Coverage, _ producer: KafkaProducer) -> PositionRecord {
        var next = record
        if let first = batches.first?.span.first { next.mark(first, offsets: offsets(producer)) }
        next.coverage = coverage
        next.tables = lanes.map(\.schema.name)
        next.topics = lanes.map(\.topic)
        return next
    }

    /// - Returns: rows that cannot be sent; and when there are none, rows of batches that brokers refuse.
    private func send(_ batches: [Batch], _ change: Change, _ next: PositionRecord, by producer: KafkaProducer) throws
        -> (unwritable: [Refusal], suspects: [Refusal])
    {
        var sending = Sending(lanes: lanes, id: id, producer: producer)
        for batch in batches { try sending.send(batch) }
        for row in change.takingBack { try sending.takeBack(row, options.undo) }
        for amendment in change.amendments { try sending.send(amendment) }
        guard sending.refused.isEmpty else { return (sending.refused, []) }
        try sending.send(position: next.text, key: key)
        return ([], try sending.settle())
    }

    /// Sends each of some rows in a batch of its own, in a transaction that is not kept.
    /// - Returns: those of them that are refused even so (there may be more: after the first, brokers take nothing), and the bytes of all.
    private func tried(_ suspects: [Refusal], _ batches: [Batch], _ change: Change) throws -> (refused: [Refusal], size: Int) {
        try reconnect(isAlone: true)
        guard let producer else { throw id.isNotOpen }
        defer { self.producer = nil }
        var sending = Sending(lanes: lanes, id: id, producer: producer)
        var sent: [[Refusal]] = []
        try producer.begin()
        defer { producer.abort() }
        for (batch, rows) in Dictionary(grouping: suspects, by: \.batch).sorted(by: { $0.key < $1.key }) {
            for (table, rows) in Dictionary(grouping: rows, by: \.table).sorted(by: { $0.key < $1.key }) {
                let rows = rows.sorted { $0.row < $1.row }
                sent.append(rows)
                try sending.send(Self.part(rows.map(\.row), table, batch, batches, change))
            }
        }
        let found = try sending.settle()
        let refused = found.compactMap { row in row.batch < sent.count && row.row < sent[row.batch].count ? sent[row.batch][row.row] : nil }
        return (refused, sending.size)
    }

    /// Some rows of one table of a batch, or of an amendment: those are numbered behind the batches.
    private static func part(_ rows: [Int], _ table: Int, _ batch: Int, _ batches: [Batch], _ change: Change) -> Batch {
        func part(_ table: Table) -> Table {
            Table(schema: table.schema, columns: table.columns.map { $0.rows(rows) }, rowCount: rows.count)
        }
        if batch < batches.count {
            let whole = batches[batch]
            return Batch(chainID: whole.chainID, span: whole.span, tables: [part(whole.tables[table])])
        }
        let amendment = change.amendments[batch - batches.count]
        let stamp = BlockStamp(hash: amendment.block.hash, timestamp: amendment.timestamp)
        return Batch(
            chainID: amendment.chainID, span: Span(amendment.block.number, parentHash: .zero, block: stamp), tables: [part(amendment.rows)])
    }

    /// Where what is sent next will stand, at least.
    private func offsets(_ producer: KafkaProducer) -> [String: [Int64]] {
        var known = record.marks.last?.offsets ?? [:]
        for (lane, ends) in zip(lanes, producer.ends) {
            var all = known[lane.topic] ?? []
            for (partition, end) in ends.enumerated() {
                if partition < all.count { all[partition] = max(all[partition], end) } else { all.append(end) }
            }
            if !all.isEmpty { known[lane.topic] = all }
        }
        return known
    }
}
