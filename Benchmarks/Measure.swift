import ClickHouseConnector
import DuckDBConnector
import EthereumConnector
import FilesConnector
import Glibc
import InfluxDBConnector
import KafkaConnector
import ParquetConnector
import PostgresConnector
import RedisConnector
import SluiceCore
import SluiceDuckDB
import SluiceFormats
import Synchronization

/// One step of the path, alone, in a process of its own: `sluice-bench measure STEP`. Prints what it cost as `key=value` words.
struct Measure {
    let workload: Workload
    let blocks: Int
    let folder: String

    /// Throws when the step is unknown or fails.
    func run(_ step: String) async throws {
        switch step {
        case "facts": try facts()
        case "parse": try parse()
        case "columns": try columns(verify: false)
        case "verified": try columns(verify: true)
        case "duckdb": try await sink(DuckDBSink(DuckDBSinkOptions(path: "\(folder)/sink.duckdb")))
        case "parquet":
            try await sink(
                ParquetSink(ParquetSinkOptions(directory: "\(folder)/lake"), segments: MemorySegments()), countsOpening: false)
        case "bucket": try await sink(try bucket())
        // The folder is the database's address here: nothing is written beside it.
        case "postgres": try await sink(PostgresSink(PostgresSinkOptions(url: folder, shown: "here", schema: "step")))
        case "csv": try await sink(FilesSink(FilesSinkOptions(.csv, directory: "\(folder)/csv")))
        case "jsonl": try await sink(FilesSink(FilesSinkOptions(.jsonl, directory: "\(folder)/jsonl")))
        // The folder is the server's address here.
        case "redis-values": try await sink(RedisSink(RedisSinkOptions(url: folder, tables: Self.values)))
        case "redis-streams": try await sink(RedisSink(RedisSinkOptions(url: folder)))
        case "clickhouse":
            let options = ClickHouseSinkOptions(url: folder, shown: "here", database: "step")
            try await sink(ClickHouseSink(options, segments: MemorySegments()))
        case "kafka":
            // Brokers, and what topics' names begin with.
            let place = folder.split(separator: "/").map(String.init)
            guard place.count == 2 else { throw BenchError("no brokers and topics in \(folder)") }
            var options = KafkaSinkOptions(brokers: place[0])
            options.topic = "\(place[1]).{table}"
            try await sink(KafkaSink(options, name: place[1]))
        case "influx": try lines()
        case "influx-prices": try prices()
        default: throw BenchError("no step \(step)")
        }
    }

    /// The folder is a server, a key, its secret, a working folder and a prefix, with `#` between them.
    private func bucket() throws -> ParquetSink {
        let words = folder.split(separator: "#").map(String.init)
        guard words.count == 5 else { throw BenchError("bucket: \(words.count) words, not 5") }
        let options = BucketOptions(bucket: "sluice", prefix: words[4], endpoint: words[0], accessKey: words[1], secretKey: words[2])
        return ParquetSink(ParquetSinkOptions(directory: words[3], bucket: options), segments: MemorySegments())
    }

    /// Every row under a key of its own.
    private static let values = [
        "blocks": RedisTableOptions(.latest, key: "b:{number}"),
        "transactions": RedisTableOptions(.latest, key: "t:{block_number}:{transaction_index}"),
        "logs": RedisTableOptions(.latest, key: "l:{block_number}:{log_index}"),
    ]

    /// The walk over a reply, with nothing kept: every key of every object is looked at, no value is read.
    private static let walk: [JSONCall] = {
        let leaf = JSONPlan(name: "leaf", keys: [JSONKey("hash", .skip), JSONKey("data", .skip)])
        let block = JSONPlan(name: "block", keys: [JSONKey("transactions", .rows(child: 1, count: nil))])
        let receipt = JSONPlan(name: "receipt", keys: [JSONKey("logs", .rows(child: 1, count: nil))])
        return [JSONCall([block, leaf], shape: .object), JSONCall([receipt, leaf], shape: .array)]
    }()

    private var decoderPlan: FetchPlan {
        FetchPlan(needs: ["blocks", "transactions", "logs"].map { Need($0) })
    }

    private func decoded(_ replies: [Buffer], verify: Bool = true) throws -> [DecodedBlock] {
        let decoder = BlockDecoder(chainID: 1, plan: decoderPlan, verifiesHeaderHash: verify)
        return try replies.enumerated().map { try decoder.decodeBlock($1, number: Workload.start + UInt64($0)) }
    }

    /// What the blocks hold, one by one.
    private func facts() throws {
        let replies = try workload.replies(padding: JSONReader.padding)
        for (reply, block) in zip(replies, try decoded(replies)) {
            Text.say("bytes=\(reply.count) transactions=\(block.tables[1].rowCount) logs=\(block.tables[2].rowCount)")
        }
    }

    private func parse() throws {
        let replies = try workload.replies(padding: JSONReader.padding)
        let reader = JSONReader()
        try timed {
            for place in 0..<blocks { _ = try reader.read(replies[place % replies.count], firstID: 1, calls: Self.walk) }
        }
    }

    private func columns(verify: Bool) throws {
        let replies = try workload.replies(padding: JSONReader.padding)
        let decoder = BlockDecoder(chainID: 1, plan: decoderPlan, verifiesHeaderHash: verify)
        try timed {
            for index in 0..<blocks {
                let place = index % replies.count
                _ = try decoder.decodeBlock(replies[place], number: Workload.start + UInt64(place))
            }
        }
    }

    /// The same decoded blocks, again and again, under new numbers.
    /// - Parameter countsOpening: false beside a writer whose library is loaded before its clock starts.
    private func sink(_ sink: any Sink, countsOpening: Bool = true) async throws {
        var source: BatchSource? = BatchSource(try decoded(try workload.replies(padding: JSONReader.padding)))
        let schemas = source?.schemas ?? []
        var (start, clock) = (Usage.own().cpu, ContinuousClock.now)
        let stream = try await sink.open(StreamID(pipeline: "bench", chainID: 1), tables: schemas)
        if !countsOpening { (start, clock) = (Usage.own().cpu, ContinuousClock.now) }
        try await stream.finalized(Workload.start + UInt64(blocks))
        while let batch = source?.next(), batch.span.first < Workload.start + UInt64(blocks) { _ = try await stream.write(batch) }
        source = nil
        _ = try await stream.finish()
        await sink.close()
        Text.say("cpu=\(Usage.own().cpu - start) wall=\((ContinuousClock.now - clock).seconds)")
    }

    /// The same decoded blocks as lines, again and again.
    private func lines() throws {
        var source = BatchSource(try decoded(try workload.replies(padding: JSONReader.padding)))
        let batch = source.next()
        var lines = try InfluxLines(source.schemas)
        try timed { for _ in 0..<max(1, blocks / batch.span.count) { _ = try lines.encode(batch) } }
    }

    /// Small rows, as metrics are: what a line costs by itself. As many of them as there would be rows.
    private func prices() throws {
        let schema = Schema(
            name: "gas_prices", key: ["chain_id", "block_hash"], doc: "",
            fields: [
                Field("chain_id", .int64, ""), Field("block_number", .int64, ""), Field("base_fee", .decimal, ""),
                Field("gas_used", .int64, ""),
                Field("ratio", .int64, ""),
            ])
        var builders = schema.fields.map { ColumnBuilder($0.type, capacity: 10_000) }
        for row in 0..<UInt64(10_000) {
            builders[0].append(UInt64(1))
            builders[1].append(Workload.start + row)
            builders[2].append(Int128(row * 1_234_567))
            builders[3].append(row * 2_999)
            builders[4].append(row % 100)
        }
        let stamps = (0..<10_000).map { BlockStamp(hash: .zero, timestamp: 1_700_000_000 + UInt64($0) * 12) }
        let table = Table(schema: schema, columns: builders.map { $0.finish() }, rowCount: 10_000)
        let batch = Batch(chainID: 1, span: Span(first: Workload.start, parentHash: .zero, blocks: stamps), tables: [table])
        var lines = try InfluxLines([schema])
        try timed { for _ in 0..<max(1, blocks / 10_000) { _ = try lines.encode(batch) } }
    }

    private func timed(_ body: () throws -> Void) throws {
        let start = Usage.own().cpu
        let clock = ContinuousClock.now
        try body()
        Text.say("cpu=\(Usage.own().cpu - start) wall=\((ContinuousClock.now - clock).seconds)")
    }
}

/// Segments that are kept as long as the process.
private final class MemorySegments: SegmentStore {
    private let all = Mutex<[StreamID: [Segment]]>([:])
    func load(_ stream: StreamID) -> [Segment] { all.withLock { $0[stream] ?? [] } }
    func save(_ segments: [Segment], of stream: StreamID) { all.withLock { $0[stream] = segments } }
}

/// Batches without end out of some blocks. Their rows are shared; only numbers and hashes of blocks are made anew.
private struct BatchSource {
    let schemas: [Schema]
    private let tables: [Table]
    /// For each table the place of its block in the batch, row by row.
    private let places: [[UInt64]]
    private let blocks: [DecodedBlock]
    private var first = Workload.start
    private var parent = Hash32.zero

    init(_ blocks: [DecodedBlock]) {
        self.blocks = blocks
        let count = blocks[0].tables.count
        tables = (0..<count).map { index in Table.concatenated(blocks.map { $0.tables[index] }) }
        schemas = tables.map(\.schema)
        places = (0..<count).map { index in
            blocks.enumerated().flatMap { [UInt64](repeating: UInt64($0), count: $1.tables[index].rowCount) }
        }
    }

    mutating func next() -> Batch {
        let stamps = blocks.indices.map { place in
            let number = first + UInt64(place)
            let bytes = (0..<32).map { $0 < 8 ? UInt8(truncatingIfNeeded: number >> UInt64($0 * 8)) : 7 }
            return BlockStamp(hash: Hash32(bytes) ?? .zero, timestamp: 1_700_000_000 + (number - Workload.start) * 12)
        }
        let span = Span(first: first, parentHash: parent, blocks: stamps)
        let renumbered = zip(tables, places).map { table, places in
            let number = table.schema.blockNumberField
            let hash = table.schema.name == "blocks" ? "hash" : "block_hash"
            let columns = zip(table.schema.fields, table.columns).map { field, column in
                field.name == number ? numbers(places) : field.name == hash ? hashes(places, stamps) : column
            }
            return Table(schema: table.schema, columns: columns, rowCount: table.rowCount)
        }
        parent = span.last.hash
        first += UInt64(blocks.count)
        return Batch(chainID: 1, span: span, tables: renumbered)
    }

    private func numbers(_ places: [UInt64]) -> Column {
        let values = Buffer(count: places.count * 8) { target in
            for (row, place) in places.enumerated() { target.storeBytes(of: first + place, toByteOffset: row * 8, as: UInt64.self) }
        }
        return Column(type: .int64, count: places.count, nullCount: 0, values: values, offsets: nil, validity: nil)
    }

    private func hashes(_ places: [UInt64], _ stamps: [BlockStamp]) -> Column {
        let values = Buffer(count: places.count * 32) { target in
            for (row, place) in places.enumerated() {
                stamps[Int(place)].hash.withBytes {
                    UnsafeMutableRawBufferPointer(rebasing: target[row * 32..<row * 32 + 32]).copyMemory(from: $0)
                }
            }
        }
        return Column(type: .fixedBytes(32), count: places.count, nullCount: 0, values: values, offsets: nil, validity: nil)
    }
}
