import SluiceCore

extension SinkConformance {
    /// Several streams, and several processes, in one store.
    static let neighbours: [Case] = [
        Case("two chains in one store: what one stores, undoes or amends is not the other's") { subject, findings in
            let other = StreamID(pipeline: "p", chainID: 5)
            var sink = try await subject.sink()
            var one = try await sink.open(Subject.id, tables: SmallChain.schemas)
            var two = try await sink.open(other, tables: SmallChain.schemas)
            // The same blocks, by number and hash.
            _ = try await one.write(SmallChain.batch(1...10))
            _ = try await two.write(SmallChain.batch(1...12, chainID: 5))
            try await subject.settle(one)
            try await subject.settle(two)
            if subject.promises.undo == .all {
                try await one.rollback(to: SmallChain.position(6))
                try await findings.expectBlocks(subject, [Blocks(1...6)])
                try await findings.expectBlocks(subject, [Blocks(1...12)], id: other)
            }
            var amended: [Amendment] = []
            if subject.promises.amends {
                amended = [SmallChain.amendment(5, places: [0, 9], chainID: 5)]
                try await two.amend(amended)
                await findings.expectRefusal(subject, "an amendment of another chain", class: [.fatal]) { try await one.amend(amended) }
            }
            await sink.close()
            sink = try await subject.sink()
            one = try await sink.open(Subject.id, tables: SmallChain.schemas)
            two = try await sink.open(other, tables: SmallChain.schemas)
            findings.expect(try await two.coverage(), [SmallChain.segment(1...12)])
            let last: UInt64 = subject.promises.undo == .all ? 6 : 10
            findings.expect(try await one.coverage(), [SmallChain.segment(1...last)])
            try await findings.expectBlocks(subject, [Blocks(1...last)])
            try await findings.expectBlocks(subject, [Blocks(1...12)], amended: amended, id: other)
        },
        Case("a second pipeline of a chain is told that it needs a place of its own", for: { !$0.sharesChain }) { subject, findings in
            let (sink, stream) = try await subject.open()
            _ = try await stream.write(SmallChain.batch(1...3))
            try await subject.settle(stream)
            let more = Schema(name: "more", key: SmallChain.logs.key, doc: "", fields: SmallChain.logs.fields)
            let other = StreamID(pipeline: "q", chainID: 1)
            await findings.expectRefusal(subject, "in one process", class: [.config]) { _ = try await sink.open(other, tables: [more]) }
            await sink.close()
            await findings.expectRefusal(subject, "in another", class: [.config, .pause]) {
                _ = try await subject.open(other, tables: [more])
            }
            await subject.closeAll()
            findings.expect(try await subject.open().stream.coverage(), [SmallChain.segment(1...3)])
            try await findings.expectBlocks(subject, [Blocks(1...3)])
        },
        Case("two pipelines with tables of their own in one store, by one process and by two", for: { $0.sharesChain }) {
            subject, findings in
            func schema(_ name: String) -> Schema { Schema(name: name, key: SmallChain.logs.key, doc: "", fields: SmallChain.logs.fields) }
            func batch(_ name: String, _ range: ClosedRange<UInt64>) -> Batch {
                let batch = SmallChain.batch(range)
                let table = Table(schema: schema(name), columns: batch.tables[1].columns, rowCount: batch.tables[1].rowCount)
                return Batch(chainID: 1, span: batch.span, tables: [table])
            }
            let ids = ["one", "two"].map { StreamID(pipeline: $0, chainID: 1) }
            let shared = try await subject.sink()
            var streams: [any SinkStream] = []
            for id in ids {
                let sink = subject.promises.fence == .newer ? shared : id == ids[0] ? shared : try await subject.sink()
                streams.append(try await sink.open(id, tables: [schema("logs_\(id.pipeline)")]))
            }
            for (stream, id) in zip(streams, ids) { _ = try await stream.write(batch("logs_\(id.pipeline)", 1...9)) }
            for stream in streams { try await subject.settle(stream) }
            if subject.promises.undo == .all { try await streams[0].rollback(to: SmallChain.position(4)) }
            for (place, id) in ids.enumerated() {
                let last: UInt64 = place == 0 && subject.promises.undo == .all ? 4 : 9
                findings.expect(try await streams[place].coverage(), [SmallChain.segment(1...last)], "\(id)")
                let table = schema("logs_\(id.pipeline)")
                let found = try await subject.place.rows(table, id)
                if let difference = SinkRows.difference(found, SinkRows.of(SmallChain.batch(1...last).tables[1])) {
                    findings.expect(false, "\(table.name): \(difference)")
                }
            }
        },
        Case("a second pipeline that would write the same table of the same chain is refused", for: { $0.knowsOwners }) {
            subject, findings in
            let (sink, stream) = try await subject.open()
            _ = try await stream.write(SmallChain.batch(1...3))
            try await subject.settle(stream)
            await findings.expectRefusal(subject, "another pipeline", class: [.config, .pause]) {
                _ = try await sink.open(StreamID(pipeline: "q", chainID: 1), tables: [SmallChain.logs])
            }
            _ = try await stream.write(SmallChain.batch(4...5))
            try await subject.settle(stream)
            try await findings.expectBlocks(subject, [Blocks(1...5)])
        },
        Case("of two processes that write one stream the older one is refused, and the newer one's rows stand", for: { $0.fence == .older })
        {
            subject, findings in
            let (_, old) = try await subject.open()
            _ = try await old.write(SmallChain.batch(1...5))
            try await subject.settle(old)
            let (_, new) = try await subject.open()
            findings.expect(try await new.coverage(), [SmallChain.segment(1...5)])
            await findings.expectRefusal(subject, "the older one", class: [.config]) {
                _ = try await old.write(SmallChain.batch(6...9, fork: 1, parentFork: 0))
                try await subject.settle(old)
            }
            if subject.promises.undo == .all {
                await findings.expectRefusal(subject, "its rollback") { try await old.rollback(to: SmallChain.position(3)) }
            }
            _ = try await new.write(SmallChain.batch(6...7))
            findings.expect(try await subject.settle(new), SmallChain.position(7))
            try await findings.expectBlocks(subject, [Blocks(1...7)])
        },
        Case("of two processes that write one store the newer one is refused at once", for: { $0.fence == .newer }) { subject, findings in
            let (sink, stream) = try await subject.open()
            _ = try await stream.write(SmallChain.batch(1...5))
            await findings.expectRefusal(subject, "the newer one", class: [.pause, .config]) { _ = try await subject.open() }
            try await subject.settle(stream)
            try await findings.expectBlocks(subject, [Blocks(1...5)])
            await sink.close()
            findings.expect(try await subject.open().stream.coverage(), [SmallChain.segment(1...5)])
        },
    ]
}
