import SluiceCore

extension SinkConformance {
    /// Tables that change, and names from outside.
    static let shapes: [Case] = [
        Case("a column that is new and may be null is added; rows that were there have none") { subject, findings in
            var (sink, stream) = try await subject.open()
            _ = try await stream.write(SmallChain.batch(1...5))
            try await subject.settle(stream)
            await sink.close()
            let wider = widened(Field("extra", .uint256, nullable: true, ""))
            (sink, stream) = try await subject.open(tables: [SmallChain.blocks, wider])
            findings.expect(try await stream.coverage(), [SmallChain.segment(1...5)])
            _ = try await stream.write(SmallChain.batch(6...8, logs: wider))
            try await subject.settle(stream)
            try await findings.expectBlocks(subject, [Blocks(1...8)], logs: wider)
            if subject.promises.undo == .all {
                try await stream.rollback(to: SmallChain.position(4))
                try await findings.expectBlocks(subject, [Blocks(1...4)], logs: wider)
            }
            await sink.close()
        },
        Case("a column of another type is refused when the stream is opened; what is there stays", for: { $0.changedTypes == .opening }) {
            subject, findings in
            let changed = Schema(
                name: "logs", key: SmallChain.logs.key, doc: "",
                fields: SmallChain.logs.fields.map { $0.name == "note" ? Field("note", .int64, nullable: true, "") : $0 })
            try await refuses(changed, subject, &findings)
        },
        Case("a new column that may not be null is refused where there are rows already; what is there stays", for: { $0.refusesRequired })
        {
            subject, findings in
            try await refuses(widened(Field("must", .bool, "")), subject, &findings)
        },
        Case(
            "a table that joins or leaves a stream which holds blocks is refused; before, and after all was undone, it may",
            for: { $0.knowsTables }
        ) {
            subject, findings in
            let more = Schema(name: "more", key: SmallChain.logs.key, doc: "", fields: SmallChain.logs.fields)
            var (sink, stream) = try await subject.open(tables: [SmallChain.blocks])
            await sink.close()
            (sink, stream) = try await subject.open()
            _ = try await stream.write(SmallChain.batch(1...5))
            try await subject.settle(stream)
            await sink.close()
            for wrong in [[SmallChain.blocks], SmallChain.schemas + [more], [SmallChain.blocks, more]] {
                await findings.expectRefusal(subject, "\(wrong.map(\.name))", class: [.pause, .config]) {
                    _ = try await subject.open(tables: wrong)
                }
                await subject.closeAll()
            }
            (sink, stream) = try await subject.open()
            findings.expect(try await stream.coverage(), [SmallChain.segment(1...5)])
            guard subject.promises.undo == .all else { return }
            try await stream.rollback(to: SmallChain.position(0))
            await sink.close()
            (sink, stream) = try await subject.open(tables: SmallChain.schemas + [more])
            findings.expect(try await stream.coverage(), [])
        },
        Case("names from outside are names, whatever they hold, or are refused when the stream is opened") { subject, findings in
            for (place, name) in hostileNames.enumerated() {
                let table = Schema(
                    name: "t\(place)\(name)", key: ["chain_id", "block_hash", name], doc: "",
                    fields: [
                        Field("chain_id", .int64, ""), Field("block_number", .int64, ""), Field("block_hash", .fixedBytes(32), ""),
                        Field(name, .string, ""), Field("other \(name)", .string, nullable: true, ""),
                    ])
                let id = StreamID(pipeline: "p\(place)\(name)", chainID: 1)
                let sink = try await subject.sink()
                let stream: any SinkStream
                do { stream = try await sink.open(id, tables: [table]) } catch let error as SluiceError {
                    findings.expect([.config, .pause].contains(error.class), "\(name.debugDescription): \(error.debugDescription)")
                    await sink.close()
                    continue
                }
                var columns = table.fields.map { ColumnBuilder($0.type) }
                columns[0].append(UInt64(1))
                columns[1].append(UInt64(3))
                columns[2].append(bytes: SmallChain.hash(3).bytes)
                columns[3].append(name)
                columns[4].append(name)
                let rows = Table(schema: table, columns: columns.map { $0.finish() }, rowCount: 1)
                do {
                    _ = try await stream.write(Batch(chainID: 1, span: SmallChain.batch(3...3).span, tables: [rows]))
                    try await subject.settle(stream)
                    let found = try await subject.place.rows(table, id)
                    if let difference = SinkRows.difference(found, SinkRows.of(rows)) {
                        findings.expect(false, "\(name.debugDescription): \(difference)")
                    }
                    if subject.promises.undo == .all {
                        try await stream.rollback(to: SmallChain.position(2))
                        findings.expect(try await subject.place.rows(table, id), [], name.debugDescription)
                    }
                } catch { findings.expect(false, "\(name.debugDescription): \((error as? SluiceError)?.debugDescription ?? "\(error)")") }
                await sink.close()
            }
        },
    ]

    private static let hostileNames = [
        "a\"b", "x'; DROP TABLE blocks; --", "ünï\u{1F9EC}", "select", "a b", "\\", "a,b=c", "{table}", "`", "%", "%2F", "a/b", "..", "A",
        "a.b", "$1",
        "*", "#", "\n", "e\u{301}", String(repeating: "long", count: 16),
    ]

    /// That logs of another shape are refused by a store that has blocks.
    private static func refuses(_ wrong: Schema, _ subject: Subject, _ findings: inout Findings) async throws {
        let (sink, stream) = try await subject.open()
        _ = try await stream.write(SmallChain.batch(1...5))
        try await subject.settle(stream)
        await sink.close()
        await findings.expectRefusal(subject, wrong.name, class: [.pause, .config]) {
            _ = try await subject.open(tables: [SmallChain.blocks, wrong])
        }
        await subject.closeAll()
        let (_, again) = try await subject.open()
        findings.expect(try await again.coverage(), [SmallChain.segment(1...5)])
        try await findings.expectBlocks(subject, [Blocks(1...5)])
    }

    private static func widened(_ field: Field) -> Schema {
        Schema(name: "logs", key: SmallChain.logs.key, doc: "", fields: SmallChain.logs.fields + [field])
    }
}
