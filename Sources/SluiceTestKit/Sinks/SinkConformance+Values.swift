import SluiceCore

extension SinkConformance {
    /// Every type, at its edges.
    static let values: [Case] =
        ([1, 2, 3] as [UInt64]).map { seed in
            Case("every type comes back as it went in, at its edges and of any other value, seed \(seed)") { subject, findings in
                let (sink, stream) = try await subject.open(tables: [EveryValue.schema])
                let batches = (7...8 as ClosedRange<UInt64>).map {
                    EveryValue.batch($0, rows: 130, seed: seed * 10 + $0, within: subject.promises.values)
                }
                for batch in batches { _ = try await stream.write(batch) }
                try await subject.settle(stream)
                await sink.close()
                let expected = batches.flatMap { SinkRows.of($0.tables[0]) }
                let found = try await subject.place.rows(EveryValue.schema, Subject.id)
                if let difference = SinkRows.difference(found, expected, inOrder: subject.promises.keepsOrder) {
                    findings.expect(false, "fields \(named(difference)): \(difference)")
                }
                guard subject.promises.undo == .all else { return }
                let (_, again) = try await subject.open(tables: [EveryValue.schema])
                try await again.rollback(to: SmallChain.position(7))
                let left = try await subject.place.rows(EveryValue.schema, Subject.id)
                if let difference = SinkRows.difference(left, SinkRows.of(batches[0].tables[0])) {
                    findings.expect(false, "after a rollback: \(difference)")
                }
            }
        }
        + [true, false].map { isSmall in
            Case(
                "a row that the store refuses is named, it alone is left out, and nothing else is lost\(isSmall ? ", in a full step" : "")",
                isSmall: isSmall, for: { $0.poison != nil }
            ) { subject, findings in try await poison(subject, &findings) }
        }

    /// Rows of blocks 5 to 20, two of which no store of this kind takes.
    private static func poison(_ subject: Subject, _ findings: inout Findings) async throws {
        let (sink, stream) = try await subject.open()
        _ = try await stream.write(SmallChain.batch(1...4))
        try await subject.settle(stream)
        let plain = SmallChain.batch(5...20)
        let logs = plain.tables[1]
        var notes = ColumnBuilder(.string)
        for row in 0..<logs.rowCount { notes.append([1, 6].contains(row) ? subject.promises.poison ?? "" : "fine") }
        let table = Table(schema: logs.schema, columns: Array(logs.columns[..<6]) + [notes.finish()], rowCount: logs.rowCount)
        let batch = Batch(chainID: 1, span: plain.span, tables: [plain.tables[0], table])
        var refused: [RefusedRow] = []
        var written = false
        for _ in 0..<8 {
            do {
                if !written {
                    written = true
                    _ = try await stream.write(batch)
                }
                try await subject.settle(stream)
                break
            } catch let error as RowsRefused { refused += error.rows }
        }
        // Logs 1 of block 5 and 1 of block 11: block n has n % 3.
        let expected = [1, 6].map { row in (block: logs.blockNumber(row) ?? 0, name: logs.rowName(row)) }
        findings.expect(refused.map { "\($0.table) \($0.block.number) \($0.row)" }, expected.map { "logs \($0.block) \($0.name)" })
        for row in refused {
            findings.expect(row.block == SmallChain.position(row.block.number), "another block \(row.block)")
            findings.expect(!row.reason.isEmpty && !row.message.isEmpty && row.payload.hasPrefix("{"), "\(row)")
        }
        findings.expect(try await stream.coverage(), [SmallChain.segment(1...20)])
        await sink.close()
        let (_, again) = try await subject.open()
        findings.expect(try await again.coverage(), [SmallChain.segment(1...20)])
        let first = SmallChain.batch(1...4).tables[1]
        let found = try await subject.place.rows(SmallChain.logs, Subject.id)
        let rows = SinkRows.of(first) + SinkRows.of(table.without([1, 6]))
        if let difference = SinkRows.difference(found, rows) { findings.expect(false, difference) }
        let blocks = try await subject.place.rows(SmallChain.blocks, Subject.id)
        findings.expect(blocks.count, 20, "blocks")
        guard subject.promises.undo == .all else { return }
        try await again.rollback(to: SmallChain.position(4))
        try await findings.expectBlocks(subject, [Blocks(1...4)])
    }

    /// The names of the columns that a difference counts.
    private static func named(_ difference: String) -> [String] {
        guard let open = difference.firstRange(of: "columns ["), let close = difference[open.upperBound...].firstIndex(of: "]") else {
            return []
        }
        return difference[open.upperBound..<close].split(separator: ", ").compactMap { Int($0) }.map { EveryValue.schema.fields[$0].name }
    }
}
