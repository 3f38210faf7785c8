import CRdkafka
import SluiceCore

/// A row that cannot be a record, or that brokers do not take.
struct Refusal {
    /// Which of the batches that were sent, and which of its tables.
    let batch: Int
    let table: Int
    let row: Int
    let reason: SluiceError
}

/// The records of one transaction on their way. Knows which row each of them was, should one be refused.
struct Sending: ~Copyable {
    /// Records of one table, one behind the other.
    private struct Run {
        /// The number of the first record.
        let first: Int
        let batch: Int
        let table: Int
        let rows: Table
        let lane: Int
    }

    private let lanes: [KafkaStream.Lane]
    private let id: StreamID
    private let producer: KafkaProducer
    private var runs: [Run] = []
    private var batches = 0
    private var bytes = RecordBytes()
    /// Whether brokers have failed a record already: nothing more is sent then.
    private var isBroken = false
    /// Bytes of rows that were handed over.
    private(set) var size = 0
    /// Rows that no broker needs to see: they cannot be written, or are larger than a record may be.
    private(set) var refused: [Refusal] = []

    init(lanes: [KafkaStream.Lane], id: StreamID, producer: KafkaProducer) {
        self.lanes = lanes
        self.id = id
        self.producer = producer
    }

    mutating func send(_ batch: Batch) throws {
        defer { batches += 1 }
        for (place, table) in batch.tables.enumerated() where table.rowCount > 0 && !isBroken {
            guard let lane = lanes.firstIndex(where: { $0.schema.isNamed(as: table.schema) }) else { continue }
            let run = Run(first: producer.count, batch: batches, table: place, rows: table, lane: lane)
            runs.append(run)
            try send(
                run,
                stamp: { block in
                    guard batch.span.first <= block, block <= batch.span.last.number else { return nil }
                    return batch.span.block(Int(block - batch.span.first))
                })
        }
    }

    /// Sends the rows that are to be at places of a block.
    mutating func send(_ amendment: Amendment) throws {
        guard amendment.rows.rowCount > 0, !isBroken, let lane = lanes.firstIndex(where: { $0.schema.isNamed(as: amendment.rows.schema) })
        else {
            return
        }
        let run = Run(first: producer.count, batch: batches, table: 0, rows: amendment.rows, lane: lane)
        batches += 1
        runs.append(run)
        try send(run) { _ in BlockStamp(hash: amendment.block.hash, timestamp: amendment.timestamp) }
    }

    private mutating func send(_ run: Run, stamp: (UInt64) -> BlockStamp?) throws {
        let lane = lanes[run.lane]
        let cells = RowCells(run.rows)
        var headers: (block: UInt64, KafkaHeaders)?
        for row in 0..<run.rows.rowCount {
            let block = cells[lane.blockNumber].load(row, as: UInt64.self)
            let own = headers.flatMap { $0.block == block ? $0.1 : nil } ?? self.headers(lane, block, stamp(block))
            headers = (block, own)
            bytes.removeAll()
            let size: Int
            do { size = try lane.write(cells, row: row, into: &bytes) } catch {
                refused.append(Refusal(batch: run.batch, table: run.table, row: row, reason: misfitting(run, row, error.reason)))
                continue
            }
            let all = bytes.bytes
            self.size += all.count
            let code = try producer.send(
                run.lane, key: UnsafeRawBufferPointer(rebasing: all[..<size]), value: UnsafeRawBufferPointer(rebasing: all[size...]),
                headers: own)
            guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { continue }
            let failure = producer.error(code, doing: doing(run, row))
            if breaks(code) { return }
            guard KafkaFault.isOfRecord(code) else { throw failure }
            refused.append(Refusal(batch: run.batch, table: run.table, row: row, reason: failure))
        }
    }

    /// Whether a record is not taken because an earlier one of the transaction has failed: that one says why.
    private mutating func breaks(_ code: rd_kafka_resp_err_t) -> Bool {
        if code == RD_KAFKA_RESP_ERR__STATE, producer.isBroken { isBroken = true }
        return isBroken
    }

    private func headers(_ lane: KafkaStream.Lane, _ block: UInt64, _ stamp: BlockStamp?) -> KafkaHeaders {
        var all = [
            ("op", "insert"), ("table", lane.schema.name), ("producer", "sluice/\(id.pipeline)"), ("chain_id", "\(id.chainID)"),
            ("block_number", "\(block)"),
        ]
        if let stamp { all += [("block_hash", stamp.hash.description), ("timestamp", "\(stamp.timestamp)")] }
        return KafkaHeaders(all)
    }

    /// Sends what takes back a row: under its key, with its headers.
    mutating func takeBack(_ standing: StandingRow, _ undo: KafkaSinkOptions.Undo) throws {
        let headers = KafkaHeaders(standing.headers.map { $0.0 == "op" ? ("op", "undo") : $0 })
        let code = try producer.send(standing.lane, key: standing.key, value: undo == .record ? standing.value : nil, headers: headers)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR || breaks(code) else { throw failed(producer.count - 1, code) }
    }

    /// Sends the position as the last record.
    mutating func send(position: String, key: String) throws {
        let code = try producer.send(
            lanes.count, partition: 0, key: Array(key.utf8), value: Array(position.utf8), headers: KafkaHeaders([]))
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR || breaks(code) else { throw failed(producer.count - 1, code) }
    }

    /// Waits until all records are acknowledged.
    /// - Throws: the first that is not, and is at no fault for it.
    /// - Returns: rows of which the brokers say that they are at fault, or others in the same batches.
    mutating func settle() throws -> [Refusal] {
        try producer.flush()
        var suspects: [Refusal] = []
        for (number, code) in producer.refused {
            guard let (run, row) = place(number) else { throw failed(number, code) }
            suspects.append(Refusal(batch: run.batch, table: run.table, row: row, reason: failed(number, code)))
        }
        if suspects.isEmpty, let (number, code) = producer.undelivered { throw failed(number, code) }
        return suspects
    }

    // MARK: - Places

    private func place(_ number: Int) -> (Run, row: Int)? {
        guard let run = runs.last(where: { $0.first <= number }), number - run.first < run.rows.rowCount else { return nil }
        return (run, number - run.first)
    }

    private func doing(_ run: Run, _ row: Int) -> String {
        let lane = lanes[run.lane]
        let block: UInt64 = run.rows.columns[lane.blockNumber].load(row)
        return "writing row \(row) of \(lane.schema.name), of block \(block), to topic \(lane.topic)"
    }

    private func failed(_ number: Int, _ code: rd_kafka_resp_err_t) -> SluiceError {
        guard let (run, row) = place(number) else { return producer.error(code, doing: "writing the position of \(id)") }
        return producer.error(code, doing: doing(run, row))
    }

    private func misfitting(_ run: Run, _ row: Int, _ reason: String) -> SluiceError {
        SluiceError(
            .kafkaRow, .data, "\(doing(run, row)): \(reason)", mend: "see where the row comes from: its source breaks its own type")
    }
}
