import FilesConnector
import Foundation
import Glibc
import SluiceCatalog
import SluiceConfig
import SluiceCore
import SluiceStore
import SluiceTestKit
import Synchronization

/// What the suite is told of each kind of sink. Every type of the catalogue is here, or a test fails.
enum Described {
    /// A sink, and the server that it needs, as `scripts/services` calls it.
    struct Entry: Sendable {
        let sink: SinkUnderTest
        let server: String?
        /// Whether that is installed here.
        let isHere: Bool
    }

    static let all: [Entry] =
        embedded.map { Entry(sink: $0, server: nil, isHere: Reader.isAvailable) } + [
            Entry(sink: postgres("postgres", "SLUICE_TEST_POSTGRES"), server: "postgres", isHere: TestServices.hasPostgres),
            Entry(
                sink: postgres("postgres as TimescaleDB", "SLUICE_TEST_TIMESCALE", "time_series: { chunk: 1d }\n"), server: "timescale",
                isHere: TestServices.hasTimescale),
            Entry(
                sink: clickhouse("clickhouse of 2018", "SLUICE_TEST_CLICKHOUSE", holdsBack: true), server: "clickhouse",
                isHere: TestServices.hasClickHouse),
            Entry(
                sink: clickhouse("clickhouse of today", "SLUICE_TEST_CLICKHOUSE_MODERN", holdsBack: false), server: "clickhouse-modern",
                isHere: TestServices.hasModernClickHouse),
            Entry(sink: kafka, server: "kafka", isHere: TestServices.hasKafkaReader),
            Entry(sink: redis("redis, streams", "stream"), server: "redis", isHere: RedisServer.program != nil),
            Entry(sink: redis("redis, newest values", "latest"), server: "redis", isHere: RedisServer.program != nil),
            Entry(sink: influxdb, server: "influxdb", isHere: TestServices.hasInfluxDB),
            Entry(sink: bucket, server: "s3", isHere: TestServices.hasS3),
        ]

    /// Those whose servers are here; with `SLUICE_TEST_SINK` those alone whose names have that in them.
    static let available = all.filter { entry in entry.isHere && (wanted.map { entry.sink.description.contains($0) } ?? true) }
    private static let wanted = ProcessInfo.processInfo.environment["SLUICE_TEST_SINK"]

    /// The servers that are started for the run.
    static let servers = Set(available.compactMap(\.server)).sorted()

    // MARK: - Without a server

    private static let embedded: [SinkUnderTest] = [
        SinkUnderTest(
            "duckdb", type: "duckdb",
            SinkPromises(.exactlyOnce) {
                // Between processes it is the file's own lock; here both are in one.
                $0.fence = .none
                // What lies behind is what the type calls infinity.
                $0.values.times = .min...(.max - 1)
            }
        ) { request in
            try await Place(request).made(
                "duckdb", "path: \"%/x.duckdb\"\n" + (request.isSmall ? "commit_rows: 20\n" : ""), kind: "duckdb",
                ["file": "%/x.duckdb"])
        },
        SinkUnderTest(
            "parquet", type: "parquet",
            SinkPromises(.effectivelyOnce, holdsBack: true) {
                $0.flushesAll = false
                $0.smallRows = nil
                $0.fence = .newer
                $0.sharesChain = false
                $0.changedTypes = .never
                $0.refusesRequired = false
            }
        ) { request in
            try await Place(request).made(
                "parquet", "path: \"%/lake\"\nblocks_per_file: \(request.isSmall ? 4 : 100)\n", kind: "parquet", ["folder": "%/lake"])
        },
        files("csv"), files("jsonl"),
        SinkUnderTest(
            "stdout", type: "stdout",
            SinkPromises(.atLeastOnce, holdsBack: true) {
                $0.undo = .none
                $0.amends = false
                $0.fence = .none
                $0.changedTypes = .never
                $0.refusesRequired = false
                $0.knowsTables = false
                $0.knowsOwners = false
                $0.smallRows = nil
            }
        ) { request in
            let place = try await Place(request)
            let file = "\(place.folder)/printed"
            let descriptor = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
            let segments = MemorySegments()
            return SinkPlace(
                end: {
                    close(descriptor)
                    await place.end()
                }, sink: { StdoutSink(StdoutSinkOptions(), segments: segments, descriptor: descriptor) },
                rows: { try await Reader.shared.rows("stdout", ["file": file], $0, $1) })
        },
    ]

    private static func files(_ format: String) -> SinkUnderTest {
        SinkUnderTest(
            format, type: format,
            SinkPromises(.exactlyOnce) {
                $0.fence = .newer
                $0.refusesRequired = false
                $0.sharesChain = false
                $0.keepsOrder = true
            }
        ) { request in
            try await Place(request).made(
                format, "path: \"%/files\"\n" + (request.isSmall ? "commit_rows: 20\n" : ""), kind: format, ["folder": "%/files"])
        }
    }

    // MARK: - With one

    private static func postgres(_ name: String, _ variable: String, _ more: String = "") -> SinkUnderTest {
        SinkUnderTest(
            name, type: "postgres",
            SinkPromises(.exactlyOnce) {
                $0.hasServer = true
                $0.values.zeroBytes = false
                $0.poison = "zero \u{0} byte"
                // From 4714 before our era on.
                $0.values.times = -210_866_803_200_000_000...(.max)
            }
        ) { request in
            let place = try await Place(request, server: variable)
            return try place.made(
                "postgres", "url: \"\(place.url)\"\nschema: \(request.name)\n\(more)" + (request.isSmall ? "commit_rows: 20\n" : ""),
                kind: "postgres", ["url": place.server, "schema": request.name])
        }
    }

    private static func clickhouse(_ name: String, _ variable: String, holdsBack: Bool) -> SinkUnderTest {
        SinkUnderTest(name, type: "clickhouse", SinkPromises(.effectivelyOnce, holdsBack: holdsBack) { $0.hasServer = true }) { request in
            let place = try await Place(request, server: variable)
            return try place.made(
                "clickhouse",
                "url: \"\(place.url)\"\ndatabase: \(request.name)\nhold_back: \(holdsBack)\n" + (request.isSmall ? "batch_rows: 20\n" : ""),
                kind: "clickhouse", ["url": place.server, "database": request.name])
        }
    }

    private static let kafka = SinkUnderTest(
        "kafka", type: "kafka",
        SinkPromises(.exactlyOnce) {
            $0.changedTypes = .never
            $0.refusesRequired = false
            $0.values.jsonNulls = false
            // More than a record may hold.
            $0.poison = String(repeating: "poison ", count: 200_000)
        }
    ) { request in
        let place = try await Place(request, server: "SLUICE_TEST_KAFKA")
        return try place.made(
            "kafka",
            "brokers: \"\(place.server)\"\ntopic: \"\(request.name).{chain_id}.{table}\"\npositions_topic: \(request.name).positions\npartitions: 3\ntimeout: 10s\n"
                + (request.isSmall ? "commit_rows: 20\n" : ""),
            kind: "kafka", ["brokers": place.server, "topic": "\(request.name).{chain_id}.{table}"])
    }

    private static func redis(_ name: String, _ mode: String) -> SinkUnderTest {
        SinkUnderTest(
            name, type: "redis",
            SinkPromises(.exactlyOnce) {
                $0.hasServer = true
                $0.amends = mode == "latest"
                // The hash is in the keys below: rows of another block are others.
                $0.knowsHashes = mode != "latest"
                $0.tellsLate = true
                $0.changedTypes = .never
                $0.refusesRequired = false
                $0.takesBelow = mode == "latest"
                $0.keepsOrder = mode == "stream"
            }
        ) { request in
            let place = try await Place(request, server: "SLUICE_TEST_REDIS")
            var options = "url: \"\(place.url)\"\nprefix: \"\(request.name):\"\n" + (request.isSmall ? "commit_rows: 20\n" : "")
            let tables = mode == "latest" ? ["logs", "every_value", "logs_one", "logs_two", "more"] : []
            if mode == "latest" {
                options += "tables:\n"
                for table in tables {
                    options += "  \(table): { mode: latest, key: \"row:{table}:{chain_id}:{block_hash}:{log_index}\" }\n"
                }
                options += "  blocks: { mode: latest, key: \"row:{table}:{chain_id}:{hash}\" }\n"
            }
            return try place.made(
                "redis", options, kind: "redis",
                [
                    "url": place.server, "prefix": "\(request.name):",
                    "latest": (tables + (tables.isEmpty ? [] : ["blocks"])).joined(separator: " "),
                ])
        }
    }

    private static let influxdb = SinkUnderTest(
        "influxdb", type: "influxdb",
        SinkPromises(.effectivelyOnce, holdsBack: true) {
            $0.hasServer = true
            $0.fence = .none
            $0.changedTypes = .writing
            $0.refusesRequired = false
            $0.knowsHashes = false
            $0.smallRows = nil
            $0.leavesStrays = true
        }
    ) { request in
        let place = try await Place(request, server: "SLUICE_TEST_INFLUXDB")
        return try place.made(
            "influxdb",
            "url: \"\(place.url)\"\ndatabase: \(request.name)\nbatch_age: 1h\nretry_budget: \(request.isCut ? "2s" : "0s")\n"
                + (request.isSmall ? "batch_rows: 20\n" : ""),
            kind: "influxdb", ["url": place.server, "database": request.name])
    }

    private static let bucket = SinkUnderTest(
        "parquet in a bucket", type: "parquet",
        SinkPromises(.effectivelyOnce, holdsBack: true) {
            $0.hasServer = true
            $0.flushesAll = false
            $0.smallRows = nil
            // By its spool.
            $0.fence = .newer
            $0.sharesChain = false
            $0.changedTypes = .never
            $0.refusesRequired = false
        }
    ) { request in
        let place = try await Place(request, server: "SLUICE_TEST_S3")
        let (key, secret) = (try Servers.variable("SLUICE_TEST_S3_KEY"), try Servers.variable("SLUICE_TEST_S3_SECRET"))
        return try place.made(
            "parquet",
            """
            path: "s3://sluice/\(request.name)"
            endpoint: "\(place.url)"
            access_key: "\(key)"
            secret_key: "\(secret)"
            spool: "%/spool"
            blocks_per_file: \(request.isSmall ? 4 : 100)

            """, kind: "s3", ["endpoint": place.server, "key": key, "secret": secret, "prefix": request.name])
    }
}

/// What is made for one case: a folder, a state file, a proxy before the server.
struct Place {
    let folder: String
    /// Where the server is.
    let server: String
    /// Where the sink is to look for it.
    let url: String
    let proxy: CuttingProxy?
    private let store: StateStore

    init(_ request: SinkRequest, server variable: String? = nil) async throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "sluice-\(request.name)-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        store = try await StateStore.open("\(folder)/state")
        server = try variable.map(Servers.variable) ?? ""
        guard request.isCut, let digits = server.matches(of: /:([0-9]+)/).last, let port = Int(digits.1) else {
            (proxy, url) = (nil, server)
            return
        }
        let proxy = try CuttingProxy(to: port)
        (self.proxy, url) = (proxy, server.replacing(":\(port)", with: ":\(proxy.port)"))
    }

    /// The place, with sinks that the catalogue makes out of a configuration; `%` stands for the folder.
    func made(_ type: String, _ yaml: String, kind: String, _ place: [String: String]) throws -> SinkPlace {
        guard let connector = Catalog.sink(type) else { throw SluiceError(.init("conformance"), .fatal, "there is no sink \(type)") }
        let text = yaml.replacing("%", with: folder)
        let options = try ConfigDocument.decode(text: text, file: type, spec: connector.spec)
        let store = store
        let found = place.mapValues { $0.replacing("%", with: folder) }
        return SinkPlace(
            proxy: proxy, end: { await end() }, sink: { connector.make("s", options, store) },
            rows: { try await Reader.shared.rows(kind, found, $0, $1) })
    }

    func end() async {
        await store.close()
        try? FileManager.default.removeItem(atPath: folder)
    }
}

/// Segments that are kept as long as the test.
final class MemorySegments: SegmentStore {
    private let all = Mutex<[StreamID: [Segment]]>([:])
    func load(_ stream: StreamID) -> [Segment] { all.withLock { $0[stream] ?? [] } }
    func save(_ segments: [Segment], of stream: StreamID) { all.withLock { $0[stream] = segments } }
}
