import DuckDBConnector
import SluiceCore
import SluiceDuckDB
import SluiceTestKit
import Testing

/// What a file holds when blocks do not come in one run.
@Suite struct DuckDBSegmentTests {
    let id = StreamID(pipeline: "p", chainID: 1)

    private func open(_ folder: String, tables: [Schema] = SmallChain.schemas) async throws -> (DuckDBSink, any SinkStream) {
        let sink = DuckDBSink(DuckDBSinkOptions(path: "\(folder)/x.duckdb", stageBytes: 1_500))
        do { return (sink, try await sink.open(id, tables: tables)) } catch {
            await sink.close()
            throw error
        }
    }

    private func rows(_ folder: String, _ sql: String) throws -> [[DuckDBValue]] {
        try DuckDBDatabase(path: "\(folder)/x.duckdb", readOnly: true).connect().rows(sql)
    }

    private func numbers(_ folder: String) throws -> [UInt64] {
        try rows(folder, "SELECT number FROM blocks ORDER BY number").compactMap { $0[0].uint64 }
    }

    @Test("a backfill below is a segment of its own, survives a restart, and becomes one with what it joins")
    func joining() async throws {
        try await withFolder { folder in
            var (sink, stream) = try await open(folder)
            _ = try await stream.write(SmallChain.batch(50...60))
            _ = try await stream.write(SmallChain.batch(10...20))
            #expect(try await stream.flush() == SmallChain.position(20))
            _ = try await stream.write(SmallChain.batch(61...65))
            #expect(try await stream.flush() == SmallChain.position(65))
            await sink.close()
            (sink, stream) = try await open(folder)
            #expect(try await stream.coverage() == [SmallChain.segment(10...20), SmallChain.segment(50...65)])
            for range in [21...35, 36...49] as [ClosedRange<UInt64>] { _ = try await stream.write(SmallChain.batch(range)) }
            #expect(try await stream.flush() == SmallChain.position(49))
            #expect(try await stream.coverage() == [SmallChain.segment(10...65)])
            await sink.close()
            #expect(try numbers(folder) == Array(10...65))
            let stored = try rows(folder, "SELECT stream, chain_id, first, number, hash FROM sluice.segments")
            #expect(stored == [[.text("p"), .int(1), .int(10), .int(65), .blob(SmallChain.hash(65).bytes)]])
        }
    }

    @Test(
        "a rollback undoes the end of one segment and leaves the others alone, staged, held or stored",
        arguments: [9, 15, 20, 49, 52, 56, 58, 62, 66] as [UInt64])
    func rollback(target: UInt64) async throws {
        try await withFolder { folder in
            var (sink, stream) = try await open(folder)
            _ = try await stream.write(SmallChain.batch(50...55))
            _ = try await stream.flush()
            // The first is staged at once, the others wait.
            for range in [56...66, 10...12, 13...20] as [ClosedRange<UInt64>] { _ = try await stream.write(SmallChain.batch(range)) }
            try await stream.rollback(to: SmallChain.position(target))
            #expect(try await stream.flush() == (target == 20 || target == 66 ? SmallChain.position(20) : nil))
            let low: [Segment] = target < 10 ? [] : [SmallChain.segment(10...min(20, target))]
            let high: [Segment] = target == 49 ? [] : [SmallChain.segment(50...(target > 49 ? min(66, target) : 66))]
            #expect(try await stream.coverage() == low + high)
            await sink.close()
            let expected = (low + high).flatMap { Array($0.first...$0.last.number) }
            #expect(try numbers(folder) == expected)
            (sink, stream) = try await open(folder)
            #expect(try await stream.coverage() == low + high)
            await sink.close()
        }
    }

    @Test("blocks that are there, staged or stored, are refused, and nothing is lost by it")
    func overlaps() async throws {
        try await withFolder { folder in
            let (sink, stream) = try await open(folder)
            _ = try await stream.write(SmallChain.batch(10...20))
            _ = try await stream.flush()
            _ = try await stream.write(SmallChain.batch(30...31))
            for wrong in [5...10, 20...22, 12...13, 25...30, 1...40] as [ClosedRange<UInt64>] {
                let error = await #expect(throws: SluiceError.self) { try await stream.write(SmallChain.batch(wrong)) }
                #expect(error?.code == .sinkOrder)
            }
            #expect(try await stream.flush() == SmallChain.position(31))
            #expect(try await stream.coverage() == [SmallChain.segment(10...20), SmallChain.segment(30...31)])
            await sink.close()
        }
    }

    @Test("a stream that holds blocks takes no other tables; an empty one does")
    func tables() async throws {
        let more = Schema(name: "more", key: [], doc: "", fields: SmallChain.logs.fields)
        try await withFolder { folder in
            var (sink, stream) = try await open(folder, tables: [SmallChain.blocks])
            await sink.close()
            (sink, stream) = try await open(folder)
            _ = try await stream.write(SmallChain.batch(1...5))
            _ = try await stream.finish()
            await sink.close()
            for (wrong, named) in [
                ([SmallChain.blocks], "no longer asks for table logs"), (SmallChain.schemas + [more], "now asks for table more"),
            ] {
                let error = await #expect(throws: SluiceError.self) { try await open(folder, tables: wrong) }
                #expect(error?.class == .pause)
                #expect(error?.message.contains(named) == true)
            }
            // What was undone to the last block is empty again.
            (sink, stream) = try await open(folder)
            try await stream.rollback(to: SmallChain.position(0))
            await sink.close()
            (sink, stream) = try await open(folder, tables: SmallChain.schemas + [more])
            #expect(try await stream.coverage() == [])
            await sink.close()
        }
    }

    @Test("what another stream's flush made durable is told once, also when more was taken since")
    func news() async throws {
        try await withFolder { folder in
            let (sink, one) = try await open(folder)
            let other = try await sink.open(StreamID(pipeline: "q", chainID: 5), tables: SmallChain.schemas)
            _ = try await one.write(SmallChain.batch(1...4))
            _ = try await other.write(SmallChain.batch(1...2, chainID: 5))
            #expect(try await other.flush() == SmallChain.position(2))
            #expect(try await one.coverage() == [SmallChain.segment(1...4)])
            #expect(try await one.write(SmallChain.batch(5...60)) == SmallChain.position(4))
            #expect(try await one.write(SmallChain.batch(61...61)) == nil)
            #expect(try await one.flush() == SmallChain.position(61))
            #expect(try await one.flush() == nil)
            await sink.close()
        }
    }

    @Test("a table without a chain is refused when it is opened, not when it must be undone")
    func chainless() async throws {
        let schema = Schema(name: "t", key: [], doc: "", fields: [Field("block_number", .int64, "")])
        try await withFolder { folder in
            let error = await #expect(throws: SluiceError.self) { try await open(folder, tables: [schema]) }
            #expect(error?.class == .config)
            #expect(error?.message.contains("chain_id") == true)
        }
    }
}
