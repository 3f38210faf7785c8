import SluiceCore

extension SinkConformance {
    /// What a stream refuses, and how segments meet.
    static let order: [Case] = [
        Case("what is there, stored or only taken, and what does not descend from it, is refused, and nothing is lost by it") {
            subject, findings in
            let (sink, stream) = try await subject.open()
            _ = try await stream.write(SmallChain.batch(10...14))
            try await subject.settle(stream)
            _ = try await stream.write(SmallChain.batch(15...16))
            for range in [14...17, 16...18, 10...10, 5...10, 5...40, 12...13] as [ClosedRange<UInt64>] {
                await findings.expectRefusal(subject, "blocks \(range)", code: .sinkOrder, class: [.fatal]) {
                    _ = try await stream.write(SmallChain.batch(range))
                }
            }
            await findings.expectRefusal(subject, "another parent", code: .sinkOrder, class: [.fatal]) {
                _ = try await stream.write(SmallChain.batch(17...18, parentFork: 1))
            }
            findings.expect(try await stream.coverage(), [SmallChain.segment(10...16)])
            _ = try await stream.write(SmallChain.batch(17...18))
            try await subject.settle(stream)
            await sink.close()
            findings.expect(try await subject.open().stream.coverage(), [SmallChain.segment(10...18)])
            try await findings.expectBlocks(subject, [Blocks(10...18)])
        },
        Case("another chain, a table of another shape or of another name, and a null where none may be are refused; nothing is lost by it")
        {
            subject, findings in
            let (sink, stream) = try await subject.open()
            _ = try await stream.write(SmallChain.batch(1...4))
            let good = SmallChain.batch(5...5)
            await findings.expectRefusal(subject, "another chain", class: [.fatal]) {
                _ = try await stream.write(SmallChain.batch(5...5, chainID: 2))
            }
            let wider = Schema(
                name: "logs", key: SmallChain.logs.key, doc: "", fields: SmallChain.logs.fields + [Field("x", .json, nullable: true, "")])
            await findings.expectRefusal(subject, "another shape", class: [.fatal]) {
                _ = try await stream.write(SmallChain.batch(5...5, logs: wider))
            }
            let renamed = Schema(name: "others", key: SmallChain.logs.key, doc: "", fields: SmallChain.logs.fields)
            await findings.expectRefusal(subject, "another table", class: [.fatal]) {
                let table = Table(schema: renamed, columns: good.tables[1].columns, rowCount: good.tables[1].rowCount)
                _ = try await stream.write(Batch(chainID: 1, span: good.span, tables: [good.tables[0], table]))
            }
            var columns = good.tables[0].columns
            var nothing = ColumnBuilder(.timestamp)
            nothing.appendNull()
            columns[3] = nothing.finish()
            await findings.expectRefusal(subject, "a null", class: [.data]) {
                let table = Table(schema: SmallChain.blocks, columns: columns, rowCount: 1)
                _ = try await stream.write(Batch(chainID: 1, span: good.span, tables: [table, good.tables[1]]))
            }
            _ = try await stream.write(good)
            try await subject.settle(stream)
            await sink.close()
            findings.expect(try await subject.open().stream.coverage(), [SmallChain.segment(1...5)])
            try await findings.expectBlocks(subject, [Blocks(1...5)])
        },
        Case("blocks above a gap are a segment of their own, and become one with what fills it", for: { $0.takesBelow }) {
            subject, findings in
            var (sink, stream) = try await subject.open()
            _ = try await stream.write(SmallChain.batch(50...60))
            _ = try await stream.write(SmallChain.batch(10...20))
            try await subject.settle(stream)
            _ = try await stream.write(SmallChain.batch(61...65))
            try await subject.settle(stream)
            await sink.close()
            (sink, stream) = try await subject.open()
            findings.expect(try await stream.coverage(), [SmallChain.segment(10...20), SmallChain.segment(50...65)])
            try await findings.expectBlocks(subject, [Blocks(10...20), Blocks(50...65)])
            _ = try await stream.write(SmallChain.batch(21...35))
            _ = try await stream.write(SmallChain.batch(36...49))
            findings.expect(try await stream.coverage(), [SmallChain.segment(10...65)])
            try await subject.settle(stream)
            await sink.close()
            (sink, stream) = try await subject.open()
            findings.expect(try await stream.coverage(), [SmallChain.segment(10...65)])
            // Directly below.
            _ = try await stream.write(SmallChain.batch(8...9))
            try await subject.settle(stream)
            await sink.close()
            findings.expect(try await subject.open().stream.coverage(), [SmallChain.segment(8...65)])
            try await findings.expectBlocks(subject, [Blocks(8...65)])
        },
        Case("a store that takes nothing below what it has says so, and loses nothing by it", for: { !$0.takesBelow }) {
            subject, findings in
            let (_, stream) = try await subject.open()
            _ = try await stream.write(SmallChain.batch(10...14))
            try await subject.settle(stream)
            await findings.expectRefusal(subject, "blocks below", class: [.config, .pause, .fatal]) {
                _ = try await stream.write(SmallChain.batch(1...5))
                try await subject.settle(stream)
            }
            findings.expect(try await stream.coverage(), [SmallChain.segment(10...14)])
            _ = try await stream.write(SmallChain.batch(20...22))
            try await subject.settle(stream)
            findings.expect(try await stream.coverage(), [SmallChain.segment(10...14), SmallChain.segment(20...22)])
            try await findings.expectBlocks(subject, [Blocks(10...14), Blocks(20...22)])
        },
    ]
}
