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

    /// The names of the columns that a difference counts.
    private static func named(_ difference: String) -> [String] {
        guard let open = difference.firstRange(of: "columns ["), let close = difference[open.upperBound...].firstIndex(of: "]") else {
            return []
        }
        return difference[open.upperBound..<close].split(separator: ", ").compactMap { Int($0) }.map { EveryValue.schema.fields[$0].name }
    }
}
