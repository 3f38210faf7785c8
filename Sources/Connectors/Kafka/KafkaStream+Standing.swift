import SluiceCore

/// A row as it stands in its topic.
struct StandingRow {
    let lane: Int
    let key: [UInt8]
    let value: [UInt8]?
    let headers: [(String, String)]
    let block: UInt64

    var blockHash: String? { headers.last { $0.0 == "block_hash" }?.1 }
}

// What the topics say of rows, whoever wrote them.
extension KafkaStream {
    /// The rows of blocks that are to be taken back, the latest first.
    func orphans(_ removed: ClosedRange<UInt64>) throws -> [StandingRow] {
        let all = try standing(
            in: Set(lanes.indices), from: removed.lowerBound, doing: "looking for rows of orphaned blocks of \(id)",
            isWanted: { removed.contains($0) })
        return all.sorted { ($1.row.block, $1.order) < ($0.row.block, $0.order) }.map(\.row)
    }

    /// The rows of some blocks that stand in the topics of some lanes, with their order there.
    /// - Parameters:
    ///   - block: the first of the blocks.
    ///   - wantsAll: whether it is an error that records of them may be deleted.
    func standing(
        in wanted: Set<Int>, from block: UInt64, doing: String, wantsAll: Bool = false, isWanted: (UInt64) -> Bool
    ) throws -> [(order: Int, row: StandingRow)] {
        let offsets = record.offsets(from: block)
        var places: [KafkaReader.Place] = []
        for index in wanted.sorted() {
            let topic = lanes[index].topic
            for partition in 0..<(partitions[topic] ?? 0) {
                let from = offsets[topic].flatMap { partition < $0.count ? $0[partition] : nil } ?? 0
                places.append(.init(topic: topic, partition: Int32(partition), first: from))
            }
        }
        let lanes = Dictionary(lanes.enumerated().map { ($0.element.topic, $0.offset) }, uniquingKeysWith: { first, _ in first })
        let chain = "\(id.chainID)"
        var standing: [String: [[UInt8]: (order: Int, row: StandingRow)]] = [:]
        var order = 0
        try KafkaReader(options: options).read(places, doing: doing, wantsAll: wantsAll) { record in
            guard let lane = lanes[record.topic], record.header("chain_id") == chain,
                let block = record.header("block_number").flatMap({ UInt64($0) }), isWanted(block)
            else { return }
            order += 1
            // All of one key stand in one partition, in order: the last one counts.
            if record.header("op") == "insert" {
                standing[record.topic, default: [:]][record.key] = (
                    order, StandingRow(lane: lane, key: record.key, value: record.value, headers: record.headers, block: block)
                )
            } else {
                standing[record.topic]?[record.key] = nil
            }
        }
        return standing.values.flatMap(\.values)
    }
}
