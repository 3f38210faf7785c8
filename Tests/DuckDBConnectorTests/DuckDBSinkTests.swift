import DuckDBConnector
import Foundation
import SluiceCore
import SluiceDuckDB
import SluiceTestKit
import Testing

@Suite struct DuckDBSinkTests {
    let id = StreamID(pipeline: "p", chainID: 1)

    private func options(_ folder: String, commitRows: Int = 1_000_000) -> DuckDBSinkOptions {
        DuckDBSinkOptions(path: "\(folder)/deep/er/x.duckdb", commitRows: commitRows)
    }

    private func rows(_ folder: String, _ sql: String) throws -> [[DuckDBValue]] {
        try DuckDBDatabase(path: "\(folder)/deep/er/x.duckdb", readOnly: true).connect().rows(sql)
    }

    /// Rows of the chain's first blocks: from 1 to `last`.
    private func expectBlocks(_ folder: String, upTo last: UInt64) throws {
        let numbers = try rows(folder, "SELECT number FROM blocks ORDER BY number").map { $0[0] }
        #expect(numbers == (last == 0 ? [] : (1...last).map { .int(Int64($0)) }))
        let logs = try rows(folder, "SELECT count(*), count(DISTINCT (block_number, log_index)) FROM logs")
        let count = Int64((0...last).reduce(0) { $0 + $1 % 3 })
        #expect(logs == [[.int(count), .int(count)]])
    }

    @Test("rows and position land together, and a new sink goes on from there")
    func positionAndRows() async throws {
        try await withFolder { folder in
            let sink = DuckDBSink(options(folder))
            let stream = try await sink.open(id, tables: SmallChain.schemas)
            #expect(try await stream.coverage() == [])
            #expect(try await stream.write(SmallChain.batch(1...10)) == nil)
            #expect(try await stream.flush() == SmallChain.position(10))
            #expect(try await stream.write(SmallChain.batch(11...15)) == nil)
            await sink.close()
            // What was not flushed is gone, with its position.
            try expectBlocks(folder, upTo: 10)
            let again = DuckDBSink(options(folder))
            let resumed = try await again.open(id, tables: SmallChain.schemas)
            #expect(try await resumed.coverage() == [SmallChain.segment(1...10)])
            _ = try await resumed.write(SmallChain.batch(11...20))
            #expect(try await resumed.finish() == SmallChain.position(20))
            await again.close()
            try expectBlocks(folder, upTo: 20)
            let shown = try rows(folder, "SELECT number, hash, base_fee FROM hex.blocks WHERE number = 2")
            #expect(shown == [[.int(2), .text(SmallChain.hash(2).description), .bignum(UInt256.max.description)]])
            let found = try rows(folder, "SELECT number, to_0x(hash) FROM blocks WHERE hash = from_0x('\(SmallChain.hash(7))')")
            #expect(found == [[.int(7), .text(SmallChain.hash(7).description)]])
        }
    }

    @Test("a full transaction is committed and reported once")
    func thresholds() async throws {
        try await withFolder { folder in
            let sink = DuckDBSink(options(folder, commitRows: 20))
            let stream = try await sink.open(id, tables: SmallChain.schemas)
            #expect(try await stream.write(SmallChain.batch(1...6)) == nil)
            #expect(try await stream.write(SmallChain.batch(7...12)) == SmallChain.position(12))
            #expect(try await stream.write(SmallChain.batch(13...13)) == nil)
            await sink.close()
            try expectBlocks(folder, upTo: 12)
        }
    }

    @Test(
        "a rollback leaves the rows up to its position, wherever the cut falls",
        arguments: [0, 5, 10, 12, 15, 20, 22] as [UInt64])
    func rollback(target: UInt64) async throws {
        try await withFolder { folder in
            var small = options(folder)
            small.stageBytes = 1_500
            let sink = DuckDBSink(small)
            let stream = try await sink.open(id, tables: SmallChain.schemas)
            _ = try await stream.write(SmallChain.batch(1...10))
            _ = try await stream.flush()
            // One that is staged, and two that are held.
            for range in [11...15, 16...16, 17...22] as [ClosedRange<UInt64>] { _ = try await stream.write(SmallChain.batch(range)) }
            try await stream.rollback(to: SmallChain.position(target))
            // Nothing lies behind block 22, so nothing is done.
            #expect(try await stream.coverage() == (target == 0 ? [] : [SmallChain.segment(1...target)]))
            _ = try await stream.write(SmallChain.batch(target + 1...25, fork: 1, parentFork: 0))
            #expect(try await stream.flush() == SmallChain.position(25, fork: 1))
            await sink.close()
            try expectBlocks(folder, upTo: 25)
            let hashes = try rows(folder, "SELECT hash FROM blocks ORDER BY number").map { $0[0] }
            #expect(hashes == (1...25).map { .blob(SmallChain.hash($0, fork: $0 > target ? 1 : 0).bytes) })
        }
    }

    @Test("a batch that overlaps or does not descend from what is held is refused")
    func order() async throws {
        try await withFolder { folder in
            let sink = DuckDBSink(options(folder))
            let stream = try await sink.open(id, tables: SmallChain.schemas)
            _ = try await stream.write(SmallChain.batch(1...5))
            for wrong in [
                SmallChain.batch(5...6), SmallChain.batch(6...6, parentFork: 1),
                SmallChain.batch(6...6, chainID: 2),
            ] {
                await #expect(throws: SluiceError.self) { try await stream.write(wrong) }
            }
            #expect(try await stream.write(SmallChain.batch(6...6)) == nil)
            #expect(try await stream.flush() == SmallChain.position(6))
            await sink.close()
        }
    }

    @Test("several streams share a file: what one commits or undoes is not the other's, and no table has two writers")
    func streams() async throws {
        try await withFolder { folder in
            let sink = DuckDBSink(options(folder))
            let one = try await sink.open(id, tables: SmallChain.schemas)
            let other = try await sink.open(StreamID(pipeline: "q", chainID: 5), tables: SmallChain.schemas)
            _ = try await one.write(SmallChain.batch(1...5))
            _ = try await other.write(SmallChain.batch(1...7, chainID: 5))
            try await one.rollback(to: SmallChain.position(3))
            #expect(try await other.flush() == SmallChain.position(7))
            #expect(try await one.coverage() == [SmallChain.segment(1...3)])
            let error = await #expect(throws: SluiceError.self) {
                try await sink.open(StreamID(pipeline: "r", chainID: 5), tables: [SmallChain.logs])
            }
            #expect(error?.message.contains("as pipeline q wrote it") == true)
            await sink.close()
            #expect(
                try rows(folder, "SELECT chain_id, count(*) FROM blocks GROUP BY 1 ORDER BY 1") == [
                    [.int(1), .int(3)], [.int(5), .int(7)],
                ])
        }
    }

    @Test("a new nullable column is added; a column of another type, or a new one that may not be null, is refused")
    func migration() async throws {
        func wider(_ field: Field) -> Schema {
            Schema(name: "logs", key: [], doc: "", fields: SmallChain.logs.fields + [field])
        }
        try await withFolder { folder in
            var sink = DuckDBSink(options(folder))
            var stream = try await sink.open(id, tables: SmallChain.schemas)
            _ = try await stream.write(SmallChain.batch(1...5))
            _ = try await stream.flush()
            await sink.close()

            let more = wider(Field("extra", .uint256, nullable: true, ""))
            sink = DuckDBSink(options(folder))
            stream = try await sink.open(id, tables: [SmallChain.blocks, more])
            _ = try await stream.write(SmallChain.batch(6...8, logs: more))
            _ = try await stream.flush()
            await sink.close()
            #expect(try rows(folder, "SELECT count(*), count(extra) FROM logs") == [[.int(9), .int(0)]])
            #expect(try rows(folder, "SELECT count(extra) FROM hex.logs") == [[.int(0)]])

            for (wrong, named) in [
                (wider(Field("must", .bool, "")), "must"), (wider(Field("extra", .string, nullable: true, "")), "logs.extra"),
            ] {
                let refused = DuckDBSink(options(folder))
                let error = await #expect(throws: SluiceError.self) { try await refused.open(id, tables: [SmallChain.blocks, wrong]) }
                #expect(error?.class == .pause)
                #expect(error?.message.contains(named) == true)
                await refused.close()
            }
            #expect(try rows(folder, "SELECT count(*) FROM logs") == [[.int(9)]])
        }
    }

    @Test("a null where none is allowed is refused before anything is written")
    func nulls() async throws {
        try await withFolder { folder in
            let sink = DuckDBSink(options(folder))
            let schema = Schema(name: "logs", key: [], doc: "", fields: SmallChain.logs.fields + [Field("must", .bool, "")])
            let stream = try await sink.open(id, tables: [SmallChain.blocks, schema])
            let error = await #expect(throws: SluiceError.self) { try await stream.write(SmallChain.batch(1...2, logs: schema)) }
            #expect(error?.message.contains("logs.must") == true)
            await sink.close()
        }
    }
}
