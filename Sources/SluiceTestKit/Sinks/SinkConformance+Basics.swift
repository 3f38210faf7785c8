import SluiceCore

extension SinkConformance {
    /// Opening, storing, and going on in another process.
    static let basics: [Case] = [
        Case("a stream that was never written holds nothing, however often it is opened, and making a sink connects to nothing") {
            subject, findings in
            _ = try await subject.sink()
            for _ in 1...2 {
                let (sink, stream) = try await subject.open()
                findings.expect(try await stream.coverage(), [])
                findings.expect(try await stream.flush(), nil)
                findings.expect(try await stream.finish(), nil)
                try await stream.rollback(to: SmallChain.position(7))
                findings.expect(try await stream.coverage(), [])
                try await findings.expectBlocks(subject, [])
                await sink.close()
            }
        },
        Case("one sink opens a stream again after it was opened, and after it refused to open it otherwise") { subject, findings in
            let sink = try await subject.sink()
            for last in [4, 8, 12] as [UInt64] {
                let stream = try await sink.open(Subject.id, tables: SmallChain.schemas)
                findings.expect(try await stream.coverage(), last == 4 ? [] : [SmallChain.segment(1...last - 4)])
                _ = try await stream.write(SmallChain.batch(last - 3...last))
                try await subject.settle(stream)
                guard subject.promises.knowsTables else { continue }
                await findings.expectRefusal(subject, "fewer tables", class: [.config, .pause]) {
                    _ = try await sink.open(Subject.id, tables: [SmallChain.blocks])
                }
            }
            try await findings.expectBlocks(subject, [Blocks(1...12)])
        },
        Case("rows and position land together; another process goes on from there, and what was not durable is gone with its position") {
            subject, findings in
            var (sink, stream) = try await subject.open()
            findings.expect(sink.delivery, subject.promises.delivery, "delivery")
            findings.expect(sink.holdsBackToFinality, subject.promises.holdsBack, "hold-back")
            let first = try await stream.write(SmallChain.batch(1...10))
            findings.expect(try await stream.coverage(), [SmallChain.segment(1...10)], "coverage with what was taken")
            findings.expect(try await subject.settle(stream) ?? first, SmallChain.position(10))
            try await findings.expectBlocks(subject, [Blocks(1...10)])
            let wrote = try await stream.write(SmallChain.batch(11...15))
            await sink.close()
            (sink, stream) = try await subject.open()
            let last: UInt64 = wrote == nil ? 10 : 15
            findings.expect(try await stream.coverage(), [SmallChain.segment(1...last)])
            try await findings.expectBlocks(subject, [Blocks(1...last)])
            _ = try await stream.write(SmallChain.batch(last + 1...20))
            _ = try await stream.finish()
            findings.expect(try await stream.coverage(), [SmallChain.segment(1...20)])
            await sink.close()
            findings.expect(try await subject.open().stream.coverage(), [SmallChain.segment(1...20)])
            try await findings.expectBlocks(subject, [Blocks(1...20)])
        },
        Case("a position that moved is told once") { subject, findings in
            let (_, stream) = try await subject.open()
            for last in [3, 6] as [UInt64] {
                let written = try await stream.write(SmallChain.batch(last - 2...last))
                let settled = try await subject.settle(stream)
                findings.expect([written, settled].compactMap(\.self), [SmallChain.position(last)])
                findings.expect(try await stream.flush(), nil, "a flush of nothing")
                findings.expect(try await stream.finish(), nil, "the end of nothing")
            }
        },
        Case(
            "what is full is made durable by itself, and told; a batch that is larger than that is taken whole", isSmall: true,
            for: { $0.smallRows != nil }
        ) { subject, findings in
            let (sink, stream) = try await subject.open()
            let few = try await stream.write(SmallChain.batch(1...3))
            if subject.promises.smallRows ?? 0 > 6 { findings.expect(few, nil, "six rows") }
            func told(_ batch: Batch) async throws -> Position? {
                let told = try await stream.write(batch)
                guard subject.promises.tellsLate else { return told }
                findings.expect(told, nil, "a step that is under way")
                return try await stream.flush()
            }
            findings.expect(try await told(SmallChain.batch(4...13)), SmallChain.position(13))
            try await findings.expectBlocks(subject, [Blocks(1...13)])
            findings.expect(try await told(SmallChain.batch(14...1013)), SmallChain.position(1013))
            await sink.close()
            let (_, again) = try await subject.open()
            findings.expect(try await again.coverage(), [SmallChain.segment(1...1013)])
            try await findings.expectBlocks(subject, [Blocks(1...1013)])
        },
        Case("tables without rows, tables that a batch does not carry, and blocks without any row are blocks that are there") {
            subject, findings in
            let (sink, stream) = try await subject.open()
            func bare(_ number: UInt64, _ tables: [Table]) -> Batch {
                Batch(chainID: 1, span: SmallChain.batch(number...number).span, tables: tables)
            }
            func empty(_ schema: Schema) -> Table {
                Table(schema: schema, columns: schema.fields.map { ColumnBuilder($0.type).finish() }, rowCount: 0)
            }
            _ = try await stream.write(bare(3, []))
            _ = try await stream.write(bare(4, SmallChain.schemas.map(empty)))
            _ = try await stream.write(SmallChain.batch(5...6))
            _ = try await stream.write(bare(7, [empty(SmallChain.logs)]))
            try await subject.settle(stream)
            findings.expect(try await stream.coverage(), [SmallChain.segment(3...7)])
            try await findings.expectBlocks(subject, [Blocks(5...6)])
            _ = try await stream.write(bare(8, []))
            try await subject.settle(stream)
            await sink.close()
            findings.expect(try await subject.open().stream.coverage(), [SmallChain.segment(3...8)])
        },
        Case("two hundred batches of one block, with a flush here and there, are what one large batch is") { subject, findings in
            let (sink, stream) = try await subject.open()
            for number in 1...200 as ClosedRange<UInt64> {
                _ = try await stream.write(SmallChain.batch(number...number))
                if number % 23 == 0 { _ = try await stream.flush() }
            }
            _ = try await stream.finish()
            await sink.close()
            findings.expect(try await subject.open().stream.coverage(), [SmallChain.segment(1...200)])
            try await findings.expectBlocks(subject, [Blocks(1...200)])
        },
    ]
}
