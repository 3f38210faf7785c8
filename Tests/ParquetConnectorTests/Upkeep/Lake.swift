import Foundation
import SluiceCore
import SluiceDuckDB
import Synchronization
import Testing

@testable import ParquetConnector

/// A folder of Parquet files as readers see it that are not the sink.
struct Lake {
    let folder: String

    struct Manifest: Decodable {
        struct File: Decodable {
            let table: String
            let path: String
            let rows: Int
        }
        let first: UInt64
        let last: UInt64
        let files: [File]
        let replaces: [String]?
        let expired: Bool?

        enum CodingKeys: String, CodingKey {
            case first = "first_block"
            case last = "last_block"
            case files, replaces, expired
        }
    }

    /// Manifests by name: those that count, as the documentation says.
    func manifests() throws -> [String: Manifest] {
        let root = "\(folder)/_manifests/1"
        var found: [String: Manifest] = [:]
        for name in Folder.entries(root) where name.hasSuffix(".json") {
            found[name] = try JSONDecoder().decode(Manifest.self, from: Data(contentsOf: URL(filePath: "\(root)/\(name)")))
        }
        let replaced = Set(found.values.flatMap { $0.replaces ?? [] })
        return found.filter { !replaced.contains($0.key) }
    }

    /// Numbers of blocks, each as often as there is a row of it, for who goes by manifests.
    func blocksByManifests() throws -> [UInt64] {
        let files = try manifests().values.flatMap(\.files).filter { $0.table == "blocks" }
        return try files.flatMap { try numbers("\(folder)/\($0.path)") }.sorted()
    }

    /// The same for who lists files.
    func blocksByListing() throws -> [UInt64] {
        try listed("blocks").flatMap { try numbers($0) }.sorted()
    }

    /// The notes of logs, for who goes by manifests: block, place and note.
    func logsByManifests() throws -> [String] {
        let files = try manifests().values.flatMap(\.files).filter { $0.table == "logs" }.sorted { $0.path < $1.path }
        let session = try DuckDBDatabase(path: nil).connect()
        return try files.flatMap { file in
            try session.rows(
                "SELECT concat_ws(' ', block_number, log_index, note) FROM read_parquet('\(folder)/\(file.path)') ORDER BY block_number, log_index"
            ).compactMap { $0[0].text }
        }
    }

    func listed(_ table: String) -> [String] {
        let names = (try? FileManager.default.subpathsOfDirectory(atPath: "\(folder)/\(table)")) ?? []
        return names.filter { $0.hasSuffix(".parquet") }.sorted().map { "\(folder)/\(table)/\($0)" }
    }

    /// That another lake has the same files and manifests, and in each file the same columns and rows in the same order.
    func expectSame(_ other: Lake, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let (own, theirs) = (try paths(), try other.paths())
        #expect(own == theirs, sourceLocation: sourceLocation)
        let session = try DuckDBDatabase(path: nil).connect()
        for path in own where path.hasSuffix(".parquet") && theirs.contains(path) {
            for question in ["SELECT * FROM", "DESCRIBE FROM"] {
                let found = try [self, other].map {
                    try session.rows("\(question) read_parquet('\($0.folder)/\(path)', hive_partitioning = false)")
                }
                #expect(found[0] == found[1] && !found[0].isEmpty, "\(path)", sourceLocation: sourceLocation)
            }
        }
        for (name, manifest) in try manifests() {
            let same = try other.manifests()[name]
            #expect(manifest.files.map(\.path) == same?.files.map(\.path), "\(name)", sourceLocation: sourceLocation)
            #expect(manifest.files.map(\.rows) == same?.files.map(\.rows), "\(name)", sourceLocation: sourceLocation)
        }
    }

    private func paths() throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: folder).filter { $0.hasSuffix(".parquet") || $0.hasSuffix(".json") }.sorted()
    }

    private func numbers(_ path: String) throws -> [UInt64] {
        try DuckDBDatabase(path: nil).connect().rows("SELECT number FROM read_parquet('\(path)')").compactMap { $0[0].uint64 }
    }
}

/// A place at which a process dies: from some change on none is made any more. The rest is the place's own.
final class DyingPlace: ParquetPlace {
    private let place: any ParquetPlace
    private let life: Life

    struct Death: Error {}

    /// How many changes are made yet, by whichever place.
    final class Life: Sendable {
        private let left: Mutex<Int>

        init(_ changes: Int) { left = Mutex(changes) }

        func step() throws {
            let lives = left.withLock { left in
                left -= 1
                return left >= 0
            }
            if !lives { throw Death() }
        }
    }

    init(_ place: any ParquetPlace, _ life: Life) {
        self.place = place
        self.life = life
    }

    private func step() throws { try life.step() }

    var shown: String { place.shown }
    func prepare(_ tables: [String], retention: Int?, _ session: DuckDBSession) {}
    func refresh(_ tables: [String]) throws { try place.refresh(tables) }
    func files(_ table: String) throws -> [(path: String, span: ClosedRange<UInt64>)] { try place.files(table) }
    func exists(_ path: String) -> Bool { place.exists(path) }
    func local(_ paths: [String]) throws -> [String] { try place.local(paths) }
    func discardTemporaries() throws { try place.discardTemporaries() }

    func stage(_ path: String) throws {
        try step()
        try place.stage(path)
    }

    func publish(_ temporary: String, as path: String) throws {
        try step()
        try place.publish(temporary, as: path)
    }

    func move(_ path: String, to other: String) throws {
        try step()
        try place.move(path, to: other)
    }

    func remove(_ path: String) throws {
        try step()
        try place.remove(path)
    }
}
