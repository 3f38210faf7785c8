import Glibc
import SluiceCore
import SluiceDuckDB
import SluiceTelemetry
import Synchronization

/// A bucket. Files are made in the working folder and go up when they are whole; manifests are in both, so that they are read as those of
/// a folder are. What the bucket holds is the truth: the working folder may be lost at any time.
final class BucketPlace: ParquetPlace {
    private let layout: Layout
    private let client: BucketClient
    /// What is in the bucket of this chain: listed at a start, then kept.
    private let objects = Mutex<Set<String>>([])
    private let fetched = Mutex<(count: Int, paths: [String])>((0, []))

    init(_ layout: Layout, _ client: BucketClient) {
        self.layout = layout
        self.client = client
    }

    var shown: String { client.options.shown }

    private var manifests: String { "_manifests/\(layout.chainID)/" }
    private var temporaries: String { "_temporary/\(layout.chainID)/" }

    func prepare(_ tables: [String], retention: Int?, _ session: DuckDBSession) throws {
        let (options, settings) = (client.options, client.options.settings)
        if settings.versioning { try client.keepVersions() }
        let rules = settings.rules(options.prefix, chainID: layout.chainID, tables: tables, retention: retention)
        if rules.isEmpty { return }
        do {
            try client.apply(rules, insteadOf: BucketSettings.start(options.prefix, chainID: layout.chainID)) { text in
                let digest = try session.rows("SELECT to_base64(unhex(md5(\(DuckDBSession.literal(text)))))").first?.first?.text
                guard let digest else { throw SluiceError(.bucketFailed, .fatal, "making the digest of lifecycle rules: nothing came") }
                return digest
            }
        } catch let error as SluiceError where rules.allSatisfy(\.onlyExpires) && BucketFault.isUnknown(error) {
            // The sink takes old rows off itself; the rule only helps while it is not running.
            Log(level: .warning).warning("the server has no lifecycle rules: old rows go while the sink runs", ["bucket": "\(shown)"])
        }
    }

    func refresh(_ tables: [String]) throws {
        let starts = tables.map { "\($0)/chain_id=\(layout.chainID)/" } + [manifests, temporaries]
        var found: Set<String> = []
        for start in starts {
            _ = try client.abortUploads(start)
            found.formUnion(try client.list(start).map(\.path))
        }
        let all = found
        objects.withLock { $0 = all }
        for name in Folder.entries(layout.manifests) { try Layout.remove("\(layout.manifests)/\(name)") }
        try Folder.create(layout.manifests)
        let folder = layout.directory
        try client.get(all.filter { $0.hasPrefix(manifests) }.sorted()) { path, content in
            try Self.write(content, to: "\(folder)/\(path)")
        }
    }

    func files(_ table: String) -> [(path: String, span: ClosedRange<UInt64>)] {
        let start = "\(table)/chain_id=\(layout.chainID)/"
        return objects.withLock { objects in
            objects.filter { $0.hasPrefix(start) }.compactMap { path in
                guard path.split(separator: "/").last?.hasPrefix(table + "_") == true else { return nil }
                return Layout.span(of: path, suffix: ".parquet").map { (path, $0) }
            }
        }
    }

    func exists(_ path: String) -> Bool { objects.withLock { $0.contains(path) } }

    func stage(_ path: String) throws { try publish("\(layout.directory)/\(path)", as: path) }

    func publish(_ temporary: String, as path: String) throws {
        try client.put(temporary, as: path)
        objects.withLock { _ = $0.insert(path) }
        if path.hasPrefix(manifests) {
            try Layout.move(temporary, to: "\(layout.directory)/\(path)")
        } else {
            try Layout.remove(temporary)
        }
    }

    func move(_ path: String, to other: String) throws {
        try client.copy(path, to: other)
        objects.withLock { _ = $0.insert(other) }
        try client.remove(path)
        objects.withLock { _ = $0.remove(path) }
        if path.hasPrefix(manifests) { try Layout.move("\(layout.directory)/\(path)", to: "\(layout.directory)/\(other)") }
    }

    func remove(_ path: String) throws {
        if exists(path) { try client.remove(path) }
        objects.withLock { _ = $0.remove(path) }
        try Layout.remove("\(layout.directory)/\(path)")
    }

    func local(_ paths: [String]) throws -> [String] {
        let old = fetched.withLock { fetched in
            defer { fetched.paths = [] }
            return fetched.paths
        }
        for path in old { try Layout.remove(path) }
        try Folder.create(layout.temporary)
        return try paths.map { path in
            let content = try client.get(path)
            // A name of its own each time: a reader may remember what it found under another's.
            let number = fetched.withLock { fetched in
                fetched.count += 1
                return fetched.count
            }
            let local = "\(layout.temporary)/fetched-\(number).parquet"
            fetched.withLock { $0.paths.append(local) }
            try Self.write(content, to: local)
            return local
        }
    }

    func discardTemporaries() throws {
        for name in Folder.entries(layout.temporary) { try Layout.remove("\(layout.temporary)/\(name)") }
        for path in objects.withLock({ $0.filter { $0.hasPrefix(temporaries) } }) { try remove(path) }
    }

    private static func write(_ content: Buffer, to path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard file >= 0 else { throw Folder.failure("creating \(path)") }
        defer { close(file) }
        var at = 0
        while at < content.count {
            let count = Glibc.write(file, content.bytes.baseAddress.map { $0 + at }, content.count - at)
            guard count > 0 else { throw Folder.failure("writing \(path)") }
            at += count
        }
    }
}
