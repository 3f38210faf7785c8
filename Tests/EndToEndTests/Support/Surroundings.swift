import Glibc
import SluiceCore
import SluiceTestKit
import Synchronization
import Testing

/// What the tests find around them: the built program, Python with its readers, recorded data, wishes in the environment.
enum Surroundings {
    static let environment: [String: String] = {
        var found: [String: String] = [:]
        for index in 0... {
            guard let entry = environ[index] else { break }
            let parts = String(cString: entry).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { found[String(parts[0])] = String(parts[1]) }
        }
        return found
    }()

    /// The folder of this test target's sources.
    static let sources: String = folders(above: #filePath).first { !$0.hasSuffix("/Support") } ?? "."

    /// The built program, which lies beside the test bundle.
    static let program: String = {
        var path = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &path, path.count - 1)
        let executable = String(decoding: path.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return (folders(above: executable) + folders(above: sources).map { $0 + "/.build/debug" })
            .map { $0 + "/sluice" }.first { access($0, X_OK) == 0 && !isFolder($0) } ?? "sluice"
    }()

    /// Recorded blocks of mainnet, kept beside checkouts; nil where they are not.
    static let recordedBlocks: String? = folders(above: sources)
        .map { $0 + "/shared/data/mainnet/complete_blocks.jsonl.zst" }.first { access($0, R_OK) == 0 }

    /// Folders of the readers' packages, as `scripts/setup --test` leaves them.
    static let packages: [String] = {
        let cache = (environment["XDG_CACHE_HOME"] ?? (environment["HOME"] ?? "") + "/.cache") + "/sluice"
        let needed = ["duckdb-", "pyarrow-", "moto-"]
        return names(in: cache).filter { name in needed.contains { name.hasPrefix($0) } && !name.contains("partial") }.map {
            "\(cache)/\($0)"
        }
    }()

    /// Whether the stores can be read back by programs that are not ours.
    static let hasReaders = ["duckdb-", "pyarrow-"].allSatisfy { name in packages.contains { $0.contains(name) } }

    /// A database of the tests' own, which is gone with this program; nil where PostgreSQL is not installed.
    static var postgres: String? { services?.variables["SLUICE_TEST_POSTGRES"] }
    /// The same of ClickHouse; nil where its engine is not there.
    static var clickhouse: String? { services?.variables["SLUICE_TEST_CLICKHOUSE_MODERN"] }
    private static let services: TestServices? = {
        let names = (TestServices.hasPostgres ? ["postgres"] : []) + (TestServices.hasModernClickHouse ? ["clickhouse-modern"] : [])
        return names.isEmpty ? nil : services(names)
    }()

    /// Servers of stores that take only what is final; nil where they are not installed.
    static var influxdb: String? { finalStores?.variables["SLUICE_TEST_INFLUXDB"] }
    static var s3: (url: String, key: String, secret: String)? {
        guard let found = finalStores?.variables, let url = found["SLUICE_TEST_S3"], let key = found["SLUICE_TEST_S3_KEY"],
            let secret = found["SLUICE_TEST_S3_SECRET"]
        else { return nil }
        return (url, key, secret)
    }
    private static let finalStores: TestServices? = {
        let names = (TestServices.hasInfluxDB ? ["influxdb"] : []) + (TestServices.hasS3 ? ["s3"] : [])
        return names.isEmpty ? nil : services(names)
    }()

    /// Servers of a test's own.
    static func services(_ names: [String]) -> TestServices? {
        let root = folders(above: sources).dropFirst().first { access($0 + "/scripts/services", X_OK) == 0 }
        return root.flatMap { try? TestServices(names, root: $0) }
    }

    /// A Redis server of the tests' own; nil where it is not installed.
    static var redis: String? { redisServices?.variables["SLUICE_TEST_REDIS"] }
    private static let redisServices = RedisServer.program == nil ? nil : services(["redis"])

    /// A broker of the tests' own, which is gone with this program; nil where nothing is installed that could read what it has.
    static var kafka: String? { broker?.variables["SLUICE_TEST_KAFKA"] }
    /// Where that broker can be told what to do.
    static var kafkaControl: String? { broker?.variables["SLUICE_TEST_KAFKA_CONTROL"] }
    private static let broker = TestServices.hasKafkaReader ? services(["kafka"]) : nil

    /// The long form: 200 kills instead of 12.
    static let isLong = environment["SLUICE_TEST_LONG"] == "1"
    static let kills = isLong ? 200 : 12
    /// The kinds of sinks that are asked for; nil: all.
    static let kinds: Set<String>? = environment["SLUICE_TEST_KINDS"].map { Set($0.split(separator: ",").map(String.init)) }

    /// Printed with every use; `SLUICE_TEST_SEED` brings a run back.
    static let seed: UInt64 = environment["SLUICE_TEST_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 1...UInt64(UInt32.max))

    static func text(of path: String) -> String {
        guard let file = fopen(path, "r") else { return "" }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { bytes += chunk[..<count] }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else { throw ChildProgram.Failure(description: "cannot write \(path)") }
        let isWhole = fputs(text, file) >= 0
        guard fclose(file) == 0, isWhole else { throw ChildProgram.Failure(description: "cannot write \(path)") }
    }

    static func isFolder(_ path: String) -> Bool {
        var info = stat()
        return stat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFDIR
    }

    static func names(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Removes a folder with all that is in it.
    static func remove(_ path: String) {
        if isFolder(path) {
            for name in names(in: path) { remove("\(path)/\(name)") }
            rmdir(path)
        } else {
            unlink(path)
        }
    }

    /// Waits until `probe` finds something; throws when that takes longer than a minute.
    @discardableResult
    static func eventually<T>(_ what: String, _ probe: () async throws -> T?) async throws -> T {
        let start = ContinuousClock.now
        while true {
            if let found = try await probe() { return found }
            guard ContinuousClock.now - start < .seconds(60) else { throw ChildProgram.Failure(description: "no \(what) within a minute") }
            try await Task.sleep(for: .milliseconds(4))
        }
    }

    private static func folders(above path: String) -> [String] {
        var parts = path.split(separator: "/")
        var out: [String] = []
        while !parts.isEmpty {
            parts.removeLast()
            out.append("/" + parts.joined(separator: "/"))
        }
        return out
    }
}

/// The root of all end-to-end suites, so that one filter selects them.
@Suite("the real program, end to end", .timeLimit(.minutes(20)))
struct EndToEnd {}

extension Trait where Self == ConditionTrait {
    /// Tests that read stores back are skipped, by name, where the readers are missing.
    static var needsReaders: Self { .enabled(if: Surroundings.hasReaders, "python's duckdb and pyarrow are missing: scripts/setup --test") }
}
