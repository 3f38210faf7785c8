import Glibc
import SluiceCommand
import SluiceConfig
import SluiceCore
import SluiceDuckDB

/// Where a query is answered: by the file itself, or by the process that holds it. All calls block; only `interrupt` comes from elsewhere.
struct QuerySource: Sendable {
    private enum Answerer: Sendable {
        case file(DuckDBReader)
        case process(Int32)
    }

    private let answerer: Answerer

    /// The DuckDB sink that a command asks for: the named one, or the only one.
    static func sink(_ configuration: SluiceConfiguration, named name: String?) throws -> SinkSettings {
        let known = configuration.sinks.filter { $0.type == "duckdb" }
        if let name {
            if let sink = known.first(where: { $0.name == name }) { return sink }
            if let other = configuration.sink(name) {
                throw UsageError("--sink: \(name) is of type \(other.type), and only duckdb sinks answer queries")
            }
            throw UsageError("--sink: no sink is called \(name)", suggestion: Spelling.nearest(to: name, in: known.map(\.name)))
        }
        guard let first = known.first else {
            throw SluiceError(
                SluiceError.Code("no_database"), .config, "the configuration has no duckdb sink, so there is nothing to query",
                mend: "add a sink of type duckdb, or read the Parquet files with a tool of your choice")
        }
        guard known.count == 1 else {
            throw UsageError("there are several duckdb sinks (\(known.map(\.name).joined(separator: ", "))): name one with --sink")
        }
        return first
    }

    /// Opens the file for reading; while another process holds it, asks that one.
    init(path: String) throws {
        guard access(path, F_OK) == 0 else {
            throw SluiceError(
                SluiceError.Code("no_database"), .config, "there is no database file \(path)",
                mend: "sluice run or sluice backfill makes it; paths are relative to the working directory")
        }
        do {
            let settings = ["memory_limit": "1GB", "temp_directory": path + ".query.tmp"]
            answerer = .file(try DuckDBReader(try DuckDBDatabase(path: path, settings: settings, readOnly: true)))
        } catch let error as SluiceError where error.code == .duckdbLocked {
            guard let descriptor = try? UnixSocket.connect(path + ".query") else { throw error }
            answerer = .process(descriptor)
        }
    }

    /// Runs a statement and hands its rows over.
    func run(_ sql: String, columns: ([String]) throws -> Void, rows: ([[DuckDBValue]]) throws -> Void) throws {
        switch answerer {
        case .file(let reader):
            try columns(try reader.start(sql))
            while let some = try reader.next() { try rows(some) }
        case .process(let descriptor):
            guard UnixSocket.send(.query(sql), to: descriptor) else { throw gone }
            while true {
                switch UnixSocket.receive(from: descriptor) {
                case .columns(let names)?: try columns(names)
                case .rows(let some)?: try rows(some)
                case .done?: return
                case let frame?: throw frame.error ?? gone
                case nil: throw gone
                }
            }
        }
    }

    /// Writes what a statement gives as Parquet; returns how many rows it were. `path` must be absolute.
    func copy(_ sql: String, toParquet path: String, partitions: [String] = []) throws -> UInt64 {
        switch answerer {
        case .file(let reader): return try reader.copy(sql, toParquet: path, partitions: partitions)
        case .process(let descriptor):
            guard UnixSocket.send(.copy(sql: sql, path: path, partitions: partitions), to: descriptor) else { throw gone }
            switch UnixSocket.receive(from: descriptor) {
            case .done(let count)?: return count
            case let frame?: throw frame.error ?? gone
            case nil: throw gone
            }
        }
    }

    /// Stops what runs: the other process sees that nobody listens any more.
    func interrupt() {
        switch answerer {
        case .file(let reader): reader.interrupt()
        case .process(let descriptor): shutdown(descriptor, Int32(SHUT_RDWR))
        }
    }

    private var gone: SluiceError {
        SluiceError(
            .querySocket, .retry, "the process that holds the database went away before the answer was complete",
            mend: "run the query again")
    }
}
