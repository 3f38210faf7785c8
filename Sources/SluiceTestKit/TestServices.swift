import Glibc
import SluiceCore
import Synchronization

/// Servers of a test's own, as `scripts/services` starts them: on free ports, in a folder that is gone with them. They end with `stop`, the
/// object, or the program, however that ends.
public final class TestServices: Sendable {
    /// The variables that say where they are, such as `SLUICE_TEST_POSTGRES`.
    public let variables: [String: String]
    public let folder: String
    private let script: String
    /// Stops the servers when its input ends.
    private let guardian: Mutex<(pid: pid_t, leash: Int32)?>

    /// Whether PostgreSQL is installed here.
    public static let hasPostgres: Bool = {
        guard let directory = opendir("/usr/lib/postgresql") else { return false }
        closedir(directory)
        return true
    }()

    /// Whether what is written into Kafka can be read by a program that is not ours.
    public static let hasKafkaReader = access("/usr/bin/kcat", X_OK) == 0

    /// Whether `scripts/setup --test` has fetched TimescaleDB.
    public static let hasTimescale =
        hasPostgres && access(cache + "/timescale-17.tar.zst", R_OK) == 0 && access("/usr/bin/patchelf", X_OK) == 0

    /// Whether Debian's ClickHouse is installed here.
    public static let hasClickHouse = access("/usr/sbin/clickhouse-server", X_OK) == 0 || access("/usr/bin/clickhouse-server", X_OK) == 0
    /// Whether the engine of a modern one is there, as `scripts/setup --test` leaves it.
    public static let hasModernClickHouse = isCached("chdb-core-")

    /// Whether InfluxDB and VictoriaMetrics are installed here.
    public static let hasInfluxDB = access("/usr/bin/influxd", X_OK) == 0
    public static let hasVictoria = access("/usr/bin/victoria-metrics", X_OK) == 0
    /// Whether `scripts/setup --test` has fetched the server that speaks S3.
    public static let hasS3 = isCached("moto-")

    /// Where `scripts/setup` keeps what it has fetched.
    private static let cache: String = {
        func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
        return (variable("XDG_CACHE_HOME") ?? (variable("HOME") ?? "") + "/.cache") + "/sluice"
    }()

    /// Whether something of that name is there, in whatever version.
    private static func isCached(_ prefix: String) -> Bool {
        guard let directory = opendir(cache) else { return false }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasPrefix(prefix), !name.contains("partial") { return true }
        }
        return false
    }

    /// - Parameter root: the project's folder, in which `scripts` is.
    public init(_ names: [String], root: String) throws {
        var template = Array("/tmp/sluice-services-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { $0.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) } }
        guard let folder = made else { throw Self.failed("no temporary folder") }
        // A server may run as another user.
        chmod(folder, 0o755)
        self.folder = folder
        script = root + "/scripts/services"
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw Self.failed("no pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        // Before they are started, so that none is left over whatever happens now.
        let watcher = try Spawn.start(
            ["/bin/sh", "-c", "read line; '\(script)' down --folder '\(folder)'; rm -rf '\(folder)'"], input: ends[0])
        close(ends[0])
        guardian = Mutex((watcher, ends[1]))
        variables = try Self.run([script, "up", "--folder", folder] + names)
    }

    deinit { stop() }

    /// Ends them in order, and removes their folder. Returns when they are gone.
    public func stop() {
        let running = guardian.withLock { guardian in
            defer { guardian = nil }
            return guardian
        }
        guard let running else { return }
        close(running.leash)
        waitpid(running.pid, nil, 0)
    }

    /// Stops some of them; their data stay.
    public func down(_ names: String...) throws { _ = try Self.run([script, "down", "--folder", folder] + names) }

    /// Starts some of them again, where they were.
    public func up(_ names: String...) throws { _ = try Self.run([script, "up", "--folder", folder] + names) }

    private static func run(_ arguments: [String]) throws -> [String: String] {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw failed("no pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let pid: pid_t
        do { pid = try Spawn.start(arguments, output: ends[1]) } catch {
            for end in ends { close(end) }
            throw error
        }
        close(ends[1])
        var said: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        // Servers that live on have closed their end: the script's own is the last.
        while case let count = read(ends[0], &buffer, buffer.count), count > 0 { said += buffer[..<count] }
        close(ends[0])
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        guard status == 0 else { throw failed("\(arguments.joined(separator: " ")) ended with \(status >> 8)") }
        var variables: [String: String] = [:]
        for line in String(decoding: said, as: UTF8.self).split(separator: "\n") {
            guard let equals = line.firstIndex(of: "=") else { continue }
            variables[String(line[..<equals])] = String(line[line.index(after: equals)...])
        }
        return variables
    }

    private static func failed(_ what: String) -> SluiceError { SluiceError(.init("test_services"), .fatal, what) }
}
