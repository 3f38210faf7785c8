import CRdkafka
import SluiceCore

/// The records of one transaction on their way. Knows which row each of them was, should one be refused.
struct Sending {
    private let lanes: [KafkaStream.Lane]
    private let id: StreamID
    private let producer: KafkaProducer
    /// The tables that were sent, and the number of their first record.
    private var runs: [(first: Int, table: Table, lane: Int)] = []
    private var key: [UInt8] = []
    private var value: [UInt8] = []

    init(lanes: [KafkaStream.Lane], id: StreamID, producer: KafkaProducer) {
        self.lanes = lanes
        self.id = id
        self.producer = producer
    }

    mutating func send(_ batch: Batch) throws {
        for table in batch.tables where table.rowCount > 0 {
            guard let index = lanes.firstIndex(where: { $0.schema.isNamed(as: table.schema) }) else { continue }
            runs.append((producer.count, table, index))
            try send(table, of: batch.span, index)
        }
    }

    private mutating func send(_ table: Table, of span: Span, _ index: Int) throws {
        let lane = lanes[index]
        var headers: (block: UInt64, KafkaHeaders)?
        for row in 0..<table.rowCount {
            let block: UInt64 = table.columns[lane.blockNumber].load(row)
            let own = headers.flatMap { $0.block == block ? $0.1 : nil } ?? self.headers(lane, block, span)
            headers = (block, own)
            key.removeAll(keepingCapacity: true)
            value.removeAll(keepingCapacity: true)
            lane.text.key(table, row: row, into: &key)
            if let avro = lane.avro { avro.value(table, row: row, into: &value) } else { lane.text.value(table, row: row, into: &value) }
            let code = try producer.send(index, partition: nil, key: key, value: value, headers: own)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw refused(producer.count - 1, code) }
        }
    }

    private func headers(_ lane: KafkaStream.Lane, _ block: UInt64, _ span: Span) -> KafkaHeaders {
        var all = [
            ("op", "insert"), ("table", lane.schema.name), ("producer", "sluice/\(id.pipeline)"), ("chain_id", "\(id.chainID)"),
            ("block_number", "\(block)"),
        ]
        if span.first <= block, block <= span.last.number {
            let stamp = span.block(Int(block - span.first))
            all += [("block_hash", stamp.hash.description), ("timestamp", "\(stamp.timestamp)")]
        }
        return KafkaHeaders(all)
    }

    /// Sends what takes back a row: under its key, with its headers.
    mutating func takeBack(_ orphan: Orphan, _ undo: KafkaSinkOptions.Undo) throws {
        let headers = KafkaHeaders(orphan.headers.map { $0.0 == "op" ? ("op", "undo") : $0 })
        let code = try producer.send(
            orphan.lane, partition: nil, key: orphan.key, value: undo == .record ? orphan.value : nil, headers: headers)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw refused(producer.count - 1, code) }
    }

    /// Sends the position as the last record, and waits until all are acknowledged.
    mutating func finish(position: String, key: String) throws {
        let code = try producer.send(
            lanes.count, partition: 0, key: Array(key.utf8), value: Array(position.utf8), headers: KafkaHeaders([]))
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw refused(producer.count - 1, code) }
        try producer.flush()
        if let (number, code) = producer.undelivered { throw refused(number, code) }
    }

    private func refused(_ number: Int, _ code: rd_kafka_resp_err_t) -> SluiceError {
        guard let run = runs.last(where: { $0.first <= number }), number - run.first < run.table.rowCount else {
            return producer.error(code, doing: "writing the position of \(id)")
        }
        let lane = lanes[run.lane]
        let row = number - run.first
        let block: UInt64 = run.table.columns[lane.blockNumber].load(row)
        return producer.error(code, doing: "writing row \(row) of \(lane.schema.name), of block \(block), to topic \(lane.topic)")
    }
}
