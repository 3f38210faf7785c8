import Glibc
import SluiceCore
import SluiceDuckDB

/// Where things lie in the sink's folder: names depend on table, chain, date and blocks alone.
struct Layout: Sendable {
    let directory: String
    let chainID: UInt64

    var manifests: String { "\(directory)/_manifests/\(chainID)" }
    var temporary: String { "\(directory)/_temporary/\(chainID)" }

    /// Who writes the chain's files has a lock on this one.
    var lock: String { "\(directory)/_temporary/\(chainID).lock" }

    /// A block number, so that names sort as numbers do.
    static func padded(_ number: UInt64) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 12 - digits.count)) + digits
    }

    /// Relative to the directory, as manifests name it.
    func file(_ table: String, day: Int64, _ first: UInt64, _ last: UInt64) -> String {
        "\(table)/chain_id=\(chainID)/date=\(Calendar.date(day))/\(fileName(table, first, last))"
    }

    func fileName(_ table: String, _ first: UInt64, _ last: UInt64) -> String {
        "\(table)_\(Self.padded(first))_\(Self.padded(last)).parquet"
    }

    /// The date in the path of a file.
    static func date(of path: String) -> String? {
        path.split(separator: "/").first { $0.hasPrefix("date=") }.map { String($0.dropFirst(5)) }
    }

    func manifest(_ first: UInt64, _ last: UInt64) -> String { "\(manifests)/\(Self.padded(first))_\(Self.padded(last)).json" }

    func temporaryFile(_ table: String) -> String { "\(temporary)/\(table).parquet" }

    /// Where the rest of a file that is cut is written: another one of the table may be open.
    func cutFile(_ table: String) -> String { "\(temporary)/\(table).cut" }

    /// Where several files of a table become one.
    func joinedFile(_ table: String) -> String { "\(temporary)/\(table).joined" }

    /// A file that is to take the place of a table's, until it does.
    func nextFile(_ table: String) -> String { "\(temporary)/\(table)\(Self.next)" }

    /// What a span is to be: its manifest while files are exchanged. Readers that look for `*.json` do not see it.
    func nextManifest(_ first: UInt64, _ last: UInt64) -> String { "\(manifests)/\(Self.padded(first))_\(Self.padded(last))\(Self.next)" }

    /// What such names end in.
    static let next = ".next"

    /// The blocks that a name, or a path, ends in: `..._<first>_<last>.<suffix>`.
    static func span(of name: String, suffix: String) -> ClosedRange<UInt64>? {
        guard name.hasSuffix(suffix) else { return nil }
        let parts = name.dropLast(suffix.count).split { $0 == "_" || $0 == "/" }
        guard parts.count >= 2, let first = UInt64(parts[parts.count - 2]), let last = UInt64(parts[parts.count - 1]), first <= last else {
            return nil
        }
        return first...last
    }

    /// All of a table's files of the chain, with their blocks; paths relative to the directory.
    func files(_ table: String) -> [(path: String, span: ClosedRange<UInt64>)] {
        let root = "\(table)/chain_id=\(chainID)"
        return Folder.entries("\(directory)/\(root)").flatMap { date in
            Folder.entries("\(directory)/\(root)/\(date)").compactMap { name in
                guard name.hasPrefix(table + "_") else { return nil }
                return Self.span(of: name, suffix: ".parquet").map { ("\(root)/\(date)/\(name)", $0) }
            }
        }
    }

    /// The spans that have a manifest, in order.
    func manifestSpans() -> [ClosedRange<UInt64>] {
        Folder.entries(manifests).compactMap { Self.span(of: $0, suffix: ".json") }
            .sorted { ($0.lowerBound, $0.upperBound) < ($1.lowerBound, $1.upperBound) }
    }

    /// A path as SQL text for DuckDB's readers, which take names for patterns: what stands for others stands for itself.
    static func pattern(_ path: String, _ ending: String = "") -> String {
        DuckDBSession.literal(path.map { "[*?".contains($0) ? "[\($0)]" : String($0) }.joined() + ending)
    }

    /// Removes a file; that there is none is well.
    static func remove(_ path: String) throws {
        if unlink(path) != 0 && errno != ENOENT { throw Folder.failure("removing \(path)") }
    }

    /// Moves a file that is on the disk to its name, and makes that last.
    static func publish(_ temporary: String, as path: String) throws {
        try Folder.sync(temporary)
        let folder = Folder.parent(of: path)
        try Folder.create(folder)
        try move(temporary, to: path)
        try Folder.sync(folder)
    }

    /// Gives a file another name, in the place of whatever has that.
    static func move(_ old: String, to path: String) throws {
        if rename(old, path) != 0 { throw Folder.failure("renaming \(old) to \(path)") }
    }

    /// A path of the folder as manifests name it.
    func relative(_ path: String) -> String { String(path.dropFirst(directory.count + 1)) }

    /// Writes a small file, which is to get its name; returns where it is until then.
    func compose(_ text: String) throws -> String {
        try Folder.create(temporary)
        let partial = "\(temporary)/manifest"
        let file = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard file >= 0 else { throw Folder.failure("creating \(partial)") }
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            guard count > 0 else {
                let failure = Folder.failure("writing \(partial)")
                close(file)
                throw failure
            }
            bytes = bytes.dropFirst(count)
        }
        close(file)
        return partial
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func size(_ path: String) throws -> Int {
        var info = stat()
        guard stat(path, &info) == 0 else { throw Folder.failure("looking at \(path)") }
        return Int(info.st_size)
    }
}
