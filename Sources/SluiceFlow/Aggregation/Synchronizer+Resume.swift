import SluiceCore

extension Synchronizer {
    /// What another process must know to go on behind a bundle.
    func record(of bundle: BlockRef, parentHash: Hash32, _ marks: [StreamMark]) -> BundleRecord {
        let marks = streams.indices.map { index in
            let mark = marks[index]
            let taken = mark.taken > 0 ? streams[index].ref(mark.taken - 1) : nil
            var readFrom = taken ?? streams[index].began
            if policy.keepsNewest, let taken {
                // The newest block is asked for again.
                let parentHash = streams[index].batch(taken.number).span.parentHash
                readFrom = taken.number > 0 ? Position(number: taken.number - 1, hash: parentHash) : nil
            }
            return BundleRecord.Mark(
                taken: taken, seen: mark.seen > 0 ? streams[index].ref(mark.seen - 1) : nil, readFrom: readFrom,
                began: streams[index].began,
                lateBelow: mark.lateBelow)
        }
        return BundleRecord(number: bundle.number, hash: bundle.hash, parentHash: parentHash, marks: marks)
    }

    /// The state behind the first record, which stands for ever, and the steps of the others. When the first bundle of all is among them it
    /// may be undone as well.
    static func restore(_ records: [BundleRecord], streams count: Int) -> (DecisionLog, [StreamLog]) {
        var records = records[...]
        let none = BundleRecord.Mark(taken: nil, seen: nil, readFrom: nil, began: nil, lateBelow: 0)
        var ground = BundleRecord(
            number: 0, hash: .zero, parentHash: .zero, marks: [BundleRecord.Mark](repeating: none, count: count))
        if let first = records.first, first.number > 1 {
            ground = first
            records = records.dropFirst()
        }
        var log = DecisionLog(ground: Decision(ground))
        for record in records { log.append(Decision(record)) }
        let streams = (0..<count).map { stream in
            let marks = [ground.marks[stream]] + records.map { $0.marks[stream] }
            let began = marks.lazy.compactMap(\.began).first
            // A stream that had not begun at the ground is read from where it did begin.
            let readFrom = ground.marks[stream].taken == nil ? began : ground.marks[stream].readFrom
            let known = marks.flatMap { [$0.taken, $0.seen].compactMap { $0 } }
            return StreamLog(
                readFrom: readFrom, began: began, expected: known.filter { $0.number > readFrom?.number ?? 0 || readFrom == nil })
        }
        return (log, streams)
    }
}

extension Decision {
    /// The step of another process that ended in a bundle.
    fileprivate init(_ record: BundleRecord) {
        self.init(
            kind: .bundle, bundle: record.ref, moment: 0,
            marks: record.marks.map { mark in
                StreamMark(
                    taken: mark.taken.map { $0.number + 1 } ?? 0, seen: mark.seen.map { $0.number + 1 } ?? 0, lateBelow: mark.lateBelow)
            })
    }
}

extension BundleRecord {
    /// - Throws: `bundle_records` (class `data`) when the records cannot be those of one aggregator, one behind the other.
    static func check(_ records: [BundleRecord], streams count: Int) throws(SluiceError) {
        for (index, record) in records.enumerated() {
            let before = index > 0 ? records[index - 1] : nil
            let follows = before.map { $0.number + 1 == record.number && $0.hash == record.parentHash } ?? (record.number > 0)
            let isWhole = record.marks.count == count && record.number < .max
            guard follows, isWhole, zip(record.marks, before?.marks ?? record.marks).allSatisfy({ $0.comes(after: $1) }) else {
                throw SluiceError(
                    .bundleRecords, .data,
                    "resuming an aggregator of \(count) streams: the record of bundle \(record.number) is not one of it, or not the next one",
                    mend: "remove what the aggregator has made and its records, and run it from the start")
            }
        }
    }
}

extension BundleRecord.Mark {
    /// Whether a stream can have come from one mark to this one.
    fileprivate func comes(after before: Self) -> Bool {
        func end(_ position: Position?) -> UInt64 { position.map { $0.number == .max ? 0 : $0.number + 1 } ?? 0 }
        return end(taken) <= end(seen) && end(before.taken) <= end(taken) && end(before.seen) <= end(seen)
    }
}
