import SluiceConfig
import SluiceCore
import SluiceTestKit
import Testing

@testable import ClickHouseConnector

@Suite(.clickhouse, .needsClickHouse) struct ClickHouseSinkTests {
    private let id = StreamID(pipeline: "p", chainID: 1)

    @Test("rows come first, then what says that they are there, and a new sink goes on from that", arguments: Kind.available)
    func positionAndRows(_ kind: Kind) async throws {
        let server = try Server(kind, "positions")
        let sink = server.sink()
        let stream = try await sink.open(id, tables: SmallChain.schemas)
        #expect(try await stream.coverage() == [])
        #expect(try await stream.write(SmallChain.batch(1...10)) == nil)
        #expect(try await stream.flush() == SmallChain.position(10))
        #expect(try await stream.flush() == nil)
        #expect(server.segments.load(id) == [SmallChain.segment(1...10)])
        #expect(try await stream.write(SmallChain.batch(11...15)) == nil)
        await sink.close()
        // What was not flushed is gone, with its position.
        try await server.expectBlocks(upTo: 10)
        let again = server.sink()
        let resumed = try await again.open(id, tables: SmallChain.schemas)
        #expect(try await resumed.coverage() == [SmallChain.segment(1...10)])
        _ = try await resumed.write(SmallChain.batch(11...20))
        #expect(try await resumed.finish() == SmallChain.position(20))
        await again.close()
        try await server.expectBlocks(upTo: 20)
        #expect(server.segments.load(id) == [SmallChain.segment(1...20)])
    }

    @Test("a full batch is inserted and reported once; what is below what is there becomes one with it", arguments: Kind.available)
    func thresholds(_ kind: Kind) async throws {
        let server = try Server(kind, "thresholds", batchRows: 20)
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        #expect(try await stream.write(SmallChain.batch(5...10)) == nil)
        #expect(try await stream.write(SmallChain.batch(11...16)) == SmallChain.position(16))
        #expect(try await stream.write(SmallChain.batch(1...2)) == nil)
        #expect(try await stream.flush() == SmallChain.position(2))
        #expect(try await stream.coverage() == [SmallChain.segment(1...2), SmallChain.segment(5...16)])
        await #expect { _ = try await stream.write(SmallChain.batch(16...17)) } throws: { ($0 as? SluiceError)?.code == .sinkOrder }
        await #expect { _ = try await stream.write(SmallChain.batch(17...17, fork: 1)) } throws: {
            ($0 as? SluiceError)?.code == .sinkOrder
        }
        _ = try await stream.write(SmallChain.batch(3...4))
        _ = try await stream.finish()
        #expect(try await server.sink().open(id, tables: SmallChain.schemas).coverage() == [SmallChain.segment(1...16)])
        try await server.expectBlocks(upTo: 16)
    }

    @Test("what is orphaned is taken off, held or stored, and comes back when the chain does", arguments: Kind.available)
    func rollback(_ kind: Kind) async throws {
        let server = try Server(kind, "orphans")
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...10))
        _ = try await stream.flush()
        _ = try await stream.write(SmallChain.batch(11...14))
        try await stream.rollback(to: SmallChain.position(12))
        #expect(try await stream.coverage() == [SmallChain.segment(1...12)])
        _ = try await stream.flush()
        try await server.expectBlocks(upTo: 12)
        try await stream.rollback(to: SmallChain.position(6))
        try await server.expectBlocks(upTo: 6)
        _ = try await stream.write(SmallChain.batch(7...9, fork: 1, parentFork: 0))
        #expect(try await stream.flush() == SmallChain.position(9, fork: 1))
        try await server.expectBlocks(upTo: 9, fork: 1, from: 7)
        // The very blocks that were orphaned before.
        try await stream.rollback(to: SmallChain.position(6))
        _ = try await stream.write(SmallChain.batch(7...10))
        #expect(try await stream.flush() == SmallChain.position(10))
        try await server.expectBlocks(upTo: 10)
        // However the server merges them.
        for table in ["blocks", "logs"] { try await server.execute("OPTIMIZE TABLE %.\(table) FINAL") }
        try await server.expectBlocks(upTo: 10)
        if kind == .modern {
            // Who deleted what needs no condition there.
            #expect(try await server.rows("SELECT count(), max(number) FROM %.blocks FINAL") == [["10", "10"]])
        }
        try await stream.rollback(to: SmallChain.position(0))
        #expect(try await stream.coverage() == [])
        #expect(try await server.rows("SELECT count() FROM %.blocks_current") == [["0"]])
        #expect(try await server.sink().open(id, tables: SmallChain.schemas).coverage() == [])
    }

    @Test("rows for places of blocks that are there take the place of what is there, as often as they come", arguments: Kind.available)
    func amended(_ kind: Kind) async throws {
        let server = try Server(kind, "amended")
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...10))
        _ = try await stream.flush()
        _ = try await stream.write(SmallChain.batch(11...14))
        let query =
            "SELECT block_number, log_index, isNull(note) FROM %.logs_current WHERE block_number IN (5, 8, 14) ORDER BY block_number, log_index"
        for _ in 1...2 {
            try await stream.amend([
                SmallChain.amendment(5, places: [0, 7]), SmallChain.amendment(8, places: [0, 1], rows: []),
                SmallChain.amendment(14, places: [1]),
            ])
            #expect(
                try await server.rows(query) == [
                    ["5", "0", "0"], ["5", "1", "1"], ["5", "7", "0"], ["14", "0", "1"], ["14", "1", "0"],
                ])
        }
        #expect(try await stream.coverage() == [SmallChain.segment(1...14)])
        for (amendment, code) in [
            (SmallChain.amendment(15, places: [0]), SluiceError.Code.blockNotHeld),
            (SmallChain.amendment(14, places: [0], fork: 1), .blockDiffers), (SmallChain.amendment(7, places: [0], fork: 1), .blockDiffers),
        ] {
            await #expect { try await stream.amend([SmallChain.amendment(5, places: [3]), amendment]) } throws: {
                ($0 as? SluiceError)?.code == code
            }
        }
        // Nothing of a refused step is there.
        #expect(try await server.rows("SELECT count() FROM %.logs_current WHERE log_index = 3") == [["0"]])
        try await stream.rollback(to: SmallChain.position(13))
        _ = try await stream.write(SmallChain.batch(14...16))
        #expect(try await stream.flush() == SmallChain.position(16))
        #expect(
            try await server.rows(query) == [["5", "0", "0"], ["5", "1", "1"], ["5", "7", "0"], ["14", "0", "1"], ["14", "1", "1"]])
    }

    @Test("a process that another has taken over from may not write any more", arguments: Kind.available)
    func fenced(_ kind: Kind) async throws {
        let server = try Server(kind, "fenced")
        let old = try await server.sink().open(id, tables: SmallChain.schemas)
        _ = try await old.write(SmallChain.batch(1...5))
        _ = try await old.flush()
        let new = try await server.sink().open(id, tables: SmallChain.schemas)
        _ = try await old.write(SmallChain.batch(6...9))
        for _ in 1...2 {
            await #expect { _ = try await old.flush() } throws: {
                let error = $0 as? SluiceError
                return error?.code == .clickhouseFenced && error?.class == .config || error?.class == .retry
            }
            await #expect { _ = try await old.coverage() } throws: { ($0 as? SluiceError)?.code == .clickhouseFenced }
        }
        _ = try await new.write(SmallChain.batch(6...7))
        #expect(try await new.flush() == SmallChain.position(7))
        try await server.expectBlocks(upTo: 7)
    }

    @Test(
        "a column that is new is added; other types, tables that join, other owners and tables of others are refused",
        arguments: Kind.available)
    func migration(_ kind: Kind) async throws {
        let server = try Server(kind, "migrations")
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...3))
        _ = try await stream.flush()
        let wider = Schema(
            name: "logs", key: SmallChain.logs.key, doc: "", fields: SmallChain.logs.fields + [Field("extra", .json, nullable: true, "")])
        _ = try await server.sink().open(id, tables: [SmallChain.blocks, wider])
        #expect(try await server.rows("SELECT count() FROM %.logs_current WHERE isNull(extra)") == [["3"]])
        let other = Schema(
            name: "logs", key: SmallChain.logs.key, doc: "",
            fields: SmallChain.logs.fields.map { $0.name == "log_index" ? Field("log_index", .string, "") : $0 })
        for (tables, said) in [
            ([SmallChain.blocks, other], "is Int64, not String"), ([SmallChain.blocks], "no longer asks for table logs"),
        ] {
            await #expect { _ = try await server.sink().open(id, tables: tables) } throws: {
                ($0 as? SluiceError)?.class == .pause && "\($0)".contains(said)
            }
        }
        await #expect { _ = try await server.sink().open(StreamID(pipeline: "q", chainID: 1), tables: SmallChain.schemas) } throws: {
            "\($0)".contains("as pipeline p wrote it")
        }
        // Another chain goes into the same tables.
        let second = try await server.sink().open(StreamID(pipeline: "q", chainID: 2), tables: SmallChain.schemas)
        _ = try await second.write(SmallChain.batch(1...2, chainID: 2))
        _ = try await second.finish()
        #expect(
            try await server.rows("SELECT chain_id, count() FROM %.blocks_current GROUP BY chain_id ORDER BY chain_id") == [
                ["1", "3"], ["2", "2"],
            ])
        let taken = try Server(kind, "taken")
        try await taken.execute("CREATE DATABASE %")
        try await taken.execute("CREATE TABLE %.blocks (number Int64) ENGINE = MergeTree ORDER BY number")
        await #expect { _ = try await taken.sink().open(id, tables: SmallChain.schemas) } throws: {
            ($0 as? SluiceError)?.class == .pause
                && "\($0)".contains("blocks in taken at 127.0.0.1 is a MergeTree that the sink did not make")
        }
        let gone = try Server(kind, "gone")
        let short = try await gone.sink().open(id, tables: SmallChain.schemas)
        _ = try await short.write(SmallChain.batch(1...3))
        _ = try await short.finish()
        try await gone.execute("DROP TABLE %.logs")
        await #expect { _ = try await gone.sink().open(id, tables: SmallChain.schemas) } throws: {
            ($0 as? SluiceError)?.class == .pause && "\($0)".contains("table logs is gone from gone at 127.0.0.1")
        }
        var sorted = server
        sorted.options.tables["logs"] = .init(order: ["log_index"])
        await #expect { _ = try await sorted.sink().open(id, tables: [SmallChain.blocks, wider]) } throws: {
            ($0 as? SluiceError)?.class == .pause && "\($0)".contains("is sorted by")
        }
    }

    @Test("partitions, sort keys, compression and retention are as they are asked for", arguments: Kind.available)
    func choices(_ kind: Kind) async throws {
        var server = try Server(kind, "choices")
        server.options.partition = .day
        server.options.tables["blocks"] = .init(partition: ClickHouseSinkOptions.Partition.none, compression: .zstd)
        server.options.tables["logs"] = .init(order: ["log_index"])
        let stream = try await server.sink().open(id, tables: SmallChain.schemas)
        // A quarter of an hour before midnight, so that there are two days; and more days than a server takes unasked.
        _ = try await stream.write(SmallChain.batch(1...150, start: 1_700_000_000 - 1_700_000_000 % 86_400 - 900))
        _ = try await stream.finish()
        let query =
            "SELECT name, partition_key, sorting_key FROM system.tables WHERE database = 'choices' AND name IN ('blocks', 'logs') ORDER BY name"
        let found = try await server.rows(query)
        #expect(found[0] == ["blocks", "", "chain_id, number, hash"])
        #expect(found[1][1].hasPrefix("toYYYYMMDD(") && found[1][2] == "log_index, chain_id, block_number, block_hash")
        let days = try await server.rows(
            "SELECT DISTINCT partition FROM system.parts WHERE database = 'choices' AND table = 'logs' ORDER BY partition")
        #expect(days == [["20231113"], ["20231114"]])
        guard kind == .modern else {
            server.options.ttl = .seconds(86_400)
            await #expect { _ = try await server.sink().open(id, tables: SmallChain.schemas) } throws: {
                ($0 as? SluiceError)?.class == .config && "\($0)".contains("ClickHouse 18.16")
            }
            return
        }
        // Of what is there already, too.
        server.options.ttl = .seconds(86_400 * 36_500)
        _ = try await server.sink().open(id, tables: SmallChain.schemas)
        let full = try await server.rows("SELECT engine_full FROM system.tables WHERE database = 'choices' AND name = 'blocks'")
        #expect(full[0][0].contains("TTL toDateTime(timestamp) + toIntervalSecond(3153600000)"))
        let codecs = try await server.rows(
            "SELECT DISTINCT compression_codec FROM system.columns WHERE database = 'choices' AND table = 'blocks'")
        #expect(codecs.contains(["CODEC(ZSTD(1))"]))
        server.options.ttl = .seconds(3600)
        _ = try await server.sink().open(id, tables: SmallChain.schemas)
        try await server.execute("OPTIMIZE TABLE %.blocks FINAL")
        #expect(try await server.rows("SELECT count() FROM %.blocks_current") == [["0"]])
    }

    @Test(
        "names from outside are names, whatever they hold", arguments: Kind.available,
        ["a`b", "x'; DROP TABLE blocks; --", "ünï", "SELECT", "a b", "\\", "a\\'b"])
    func hostile(_ kind: Kind, _ name: String) async throws {
        let server = try Server(kind, name)
        let id = StreamID(pipeline: name + "'\"", chainID: .max)
        let table = Schema(
            name: "t\(name)", key: ["chain_id", name], doc: "",
            fields: [Field("chain_id", .uint64, ""), Field("block_number", .int64, ""), Field(name, .string, "")])
        let stream = try await server.sink().open(id, tables: [table])
        var columns = table.fields.map { ColumnBuilder($0.type) }
        columns[0].append(UInt64.max)
        columns[1].append(Int64(1))
        columns[2].append(name)
        let span = Span(first: 1, parentHash: .zero, blocks: [BlockStamp(hash: SmallChain.hash(1), timestamp: 1)])
        let rows = Table(schema: table, columns: columns.map { $0.finish() }, rowCount: 1)
        _ = try await stream.write(Batch(chainID: .max, span: span, tables: [rows]))
        _ = try await stream.flush()
        let found = try await server.rows(
            "SELECT \(ClickHouseSQL.quoted(name)), chain_id FROM %.\(ClickHouseSQL.quoted(table.name + "_current"))")
        #expect(found == [[name, "\(UInt64.max)"]])
        #expect(try await server.sink().open(id, tables: [table]).coverage() == [Segment(first: 1, last: span.last)])
        // The first has been taken over from; the one that opened it last may write.
        let again = try await server.sink().open(id, tables: [table])
        try await again.rollback(to: Position(number: 0, hash: .zero))
        #expect(try await again.coverage() == [])
    }
}
