import SluiceCore

/// A row of an orphaned block, as it stands in its topic.
struct Orphan {
    let lane: Int
    let key: [UInt8]
    let value: [UInt8]?
    let headers: [(String, String)]
    let block: UInt64
}

extension KafkaStream {
    /// The rows of blocks that are to be taken back, the latest first: what the topics say of them, whoever wrote it.
    func orphans(_ removed: ClosedRange<UInt64>) throws -> [Orphan] {
        let offsets = record.offsets(from: removed.lowerBound)
        var places: [KafkaReader.Place] = []
        for (topic, count) in partitions.sorted(by: { $0.key < $1.key }) {
            for partition in 0..<count {
                let from = offsets[topic].flatMap { partition < $0.count ? $0[partition] : nil } ?? 0
                places.append(.init(topic: topic, partition: Int32(partition), first: from))
            }
        }
        let lanes = Dictionary(lanes.enumerated().map { ($0.element.topic, $0.offset) }, uniquingKeysWith: { first, _ in first })
        let chain = "\(id.chainID)"
        var standing: [String: [[UInt8]: (order: Int, orphan: Orphan)]] = [:]
        var order = 0
        try KafkaReader(options: options).read(places, doing: "looking for rows of orphaned blocks of \(id)") { record in
            guard let lane = lanes[record.topic], record.header("chain_id") == chain,
                let block = record.header("block_number").flatMap({ UInt64($0) }), removed.contains(block)
            else { return }
            order += 1
            // All of one key stand in one partition, in order: the last one counts.
            if record.header("op") == "insert" {
                standing[record.topic, default: [:]][record.key] = (
                    order, Orphan(lane: lane, key: record.key, value: record.value, headers: record.headers, block: block)
                )
            } else {
                standing[record.topic]?[record.key] = nil
            }
        }
        return standing.values.flatMap(\.values).sorted { ($1.orphan.block, $1.order) < ($0.orphan.block, $0.order) }.map(\.orphan)
    }
}
