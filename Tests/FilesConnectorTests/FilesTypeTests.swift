import FilesConnector
import SluiceCore
import SluiceFormats
import SluiceTestKit
import Testing

/// Every logical type goes into a file and comes back without losing a bit.
@Suite struct FilesTypeTests {
    @Test(
        "edges and any other values, nulls and hostile texts", arguments: TextRows.Format.allCases,
        [1, 2, UInt64.random(in: 3..<1_000_000)])
    func roundTrip(_ format: TextRows.Format, seed: UInt64) async throws {
        try await withFolder { folder in
            // Python's csv knows no null beside an empty text.
            let (table, expected) = EveryType.rows(300, seed: seed, textsAreNull: format == .jsonl)
            let sink = FilesSink(FilesSinkOptions(format, directory: folder))
            let stream = try await sink.open(StreamID(pipeline: "p", chainID: 1), tables: [EveryType.schema])
            let span = Span(first: 7, parentHash: .zero, blocks: [BlockStamp(hash: SmallChain.hash(7), timestamp: 1)])
            _ = try await stream.write(Batch(chainID: 1, span: span, tables: [table]))
            #expect(try await stream.flush() == span.last)
            let found = try TextReader.rows(format.rawValue, folder, "all_types", EveryType.names)
            #expect(found.count == expected.count)
            for (row, (found, expected)) in zip(found, expected).enumerated() { #expect(found == expected, "row \(row) of seed \(seed)") }
            // A search for an end reads all of it, too.
            try await stream.finalized(100)
            let next = Span(first: 8, parentHash: span.last.hash, blocks: [BlockStamp(hash: SmallChain.hash(8), timestamp: 1)])
            _ = try await stream.write(Batch(chainID: 1, span: next, tables: []))
            _ = try await stream.flush()
            try await stream.rollback(to: span.last)
            #expect(try TextReader.rows(format.rawValue, folder, "all_types", EveryType.names) == found)
            await sink.close()
        }
    }
}
