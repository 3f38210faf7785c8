import SluiceCore

// Rows for blocks that are there already.
extension KafkaStream {
    /// Takes back what stands at some places of blocks, and sends the rows that are to be there, all in one transaction. A block that only
    /// waits gets its rows where it waits.
    func amend(_ amendments: [Amendment]) throws {
        try requireReady()
        for amendment in amendments { try require(amendment) }
        var waiting = held
        var stored: [Amendment] = []
        for amendment in amendments {
            let number = amendment.block.number
            guard let index = waiting.firstIndex(where: { $0.span.first <= number && number <= $0.span.last.number }) else {
                stored.append(amendment)
                continue
            }
            guard let batch = waiting[index].amended(by: amendment) else { throw Coverage.differs(amendment.block, in: place) }
            waiting[index] = batch
        }
        if !stored.isEmpty {
            let change = try replacing(stored)
            // What it says of rows is as it should be already when it was done before.
            if !change.takingBack.isEmpty || !change.amendments.isEmpty { try commitAlone(change) }
        }
        held = waiting
    }

    /// Where it writes, for messages.
    private var place: String { "\(lanes.map(\.topic).joined(separator: ", ")) at \(options.brokers)" }

    private func require(_ amendment: Amendment) throws(SluiceError) {
        guard amendment.chainID == id.chainID else {
            throw SluiceError(.sinkOrder, .fatal, "rows of chain \(amendment.chainID) for stream \(id)")
        }
        try amendment.rows.requireFit(id, lanes.lazy.map(\.schema))
        try taken.require(amendment.block, in: place)
        let schema = amendment.rows.schema
        guard schema.key.contains(amendment.column) else {
            throw SluiceError(
                .amendUnsupported, .config,
                "\(amendment.column) is no part of the key of \(schema.name), by which its records could be found",
                mend: "fill an empty topic by a backfill")
        }
    }

    /// What brings the topics to what some amendments say.
    private func replacing(_ amendments: [Amendment]) throws -> Change {
        let numbers = Set(amendments.map(\.block.number))
        let found = try standing(of: numbers, for: amendments)
        let hashes = Dictionary(amendments.map { ($0.block.number, $0.block) }, uniquingKeysWith: { first, _ in first })
        for row in found {
            guard let block = hashes[row.block], let hash = row.blockHash, hash != block.hash.description else { continue }
            throw Coverage.differs(block, in: place)
        }
        var byBlock: [UInt64: [Int]] = [:]
        for (index, row) in found.enumerated() { byBlock[row.block, default: []].append(index) }
        var change = Change()
        for amendment in amendments {
            guard let lane = lanes.firstIndex(where: { $0.schema.isNamed(as: amendment.rows.schema) }) else { continue }
            var there: [[UInt8]: StandingRow] = [:]
            for index in byBlock[amendment.block.number] ?? [] where found[index].lane == lane {
                let row = found[index]
                if amendment.places.contains(try placeInBlock(of: row, amendment.column)) { there[row.key] = row }
            }
            let news = try different(amendment, lanes[lane], &there)
            change.takingBack += there.values.sorted { $0.key.lexicographicallyPrecedes($1.key) }
            if news.rows.rowCount > 0 { change.amendments.append(news) }
        }
        return change
    }

    /// The rows of some blocks: of the tables that are amended, and where those say nothing of a block, of the others, which tell which block it is.
    private func standing(of numbers: Set<UInt64>, for amendments: [Amendment]) throws -> [StandingRow] {
        let tables = amendments.map(\.rows.schema)
        let amended = Set(lanes.indices.filter { index in tables.contains { lanes[index].schema.isNamed(as: $0) } })
        let doing = "looking for rows of \(id) that are to be replaced"
        let first = numbers.min() ?? 0
        var found = try standing(in: amended, from: first, doing: doing, wantsAll: true, isWanted: { numbers.contains($0) })
        let unseen = numbers.subtracting(found.map(\.row.block))
        let others = Set(lanes.indices).subtracting(amended)
        if let first = unseen.min(), !others.isEmpty {
            found += try standing(in: others, from: first, doing: doing, isWanted: { unseen.contains($0) })
        }
        return found.map(\.row)
    }

    /// The place of a row in its block, as its key tells it.
    private func placeInBlock(of row: StandingRow, _ column: String) throws -> UInt64 {
        var reader = JSONTreeReader(String(decoding: row.key, as: UTF8.self), reading: "a key", code: .kafkaRow, remedy: "")
        let lane = lanes[row.lane]
        guard let items = try? reader.document().items, let index = lane.schema.key.firstIndex(of: column), index < items.count,
            let place = items[index].whole
        else {
            throw SluiceError(
                .kafkaRow, .pause,
                "a record in topic \(lane.topic), of block \(row.block), has the key \(String(decoding: row.key.prefix(200), as: UTF8.self)), which does not tell its \(column)",
                mend: "write to another topic: this one is not as this version writes it")
        }
        return place
    }

    /// The rows of an amendment that do not stand as they should yet. Takes those that do out of `there`.
    private func different(_ amendment: Amendment, _ lane: Lane, _ there: inout [[UInt8]: StandingRow]) throws -> Amendment {
        var rows: [Int] = []
        var bytes = RecordBytes()
        let cells = RowCells(amendment.rows)
        for row in 0..<amendment.rows.rowCount {
            bytes.removeAll()
            // One that cannot be written is said when it is sent.
            let size = try? lane.write(cells, row: row, into: &bytes)
            let all = bytes.bytes
            if let size, let own = there[Array(all[..<size])], let value = own.value, value.elementsEqual(all[size...]) {
                there[own.key] = nil
            } else {
                rows.append(row)
            }
        }
        let table = Table(schema: lane.schema, columns: amendment.rows.columns.map { $0.rows(rows) }, rowCount: rows.count)
        return Amendment(
            chainID: amendment.chainID, block: amendment.block, timestamp: amendment.timestamp, column: amendment.column,
            places: amendment.places, rows: table)
    }
}
