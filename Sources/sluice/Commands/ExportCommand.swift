import Glibc
import SluiceCatalog
import SluiceCommand
import SluiceConfig
import SluiceCore
import SluiceDuckDB

extension Command {
    static let export = Command(
        name: "export", summary: "write a table as Parquet files, also while sluice run writes it",
        usage: "[-c FILE] TABLE -o DIR [--sink NAME] [--force]",
        options: [
            .config, Option("--output", short: "-o", "DIR", "the folder; the files are in DIR/TABLE/chain_id=.../date=.../"),
            Option("--sink", "NAME", "the duckdb sink to read (default: the only one)"),
            Option("--force", nil, "replace DIR/TABLE if it is there"),
        ],
        operands: 1...1, examples: ["sluice export -c sluice.yaml transactions -o export"]
    ) { arguments in
        guard let output = arguments.string("--output") else { throw UsageError("export: -o DIR is needed", help: "sluice export --help") }
        let table = arguments.operands[0]
        let schemas = Catalog.registers.flatMap(\.schemas)
        guard let schema = schemas.first(where: { $0.name == table }) else {
            throw UsageError("export: no register makes a table \(table)", suggestion: Spelling.nearest(to: table, in: schemas.map(\.name)))
        }
        let configuration = try SluiceConfiguration.load(path: arguments.config, catalog: Catalog.configuration)
        let path = try QuerySource.sink(configuration, named: arguments.string("--sink")).options.string("path")
        let replaces = arguments.has("--force")
        return try await Interruptible.run { register in
            let source = try QuerySource(path: path)
            register { source.interrupt() }
            let folder = try PartialFolder(output, name: table, replaces: replaces)
            let count = try source.copy(sql(schema), toParquet: folder.partial, partitions: partitions(schema))
            try folder.finish()
            Output.note("\(Amount.count(count, "row")) in \(output)/\(table)")
        }
    }

    private static func moment(_ schema: Schema) -> String? { schema.fields.first { $0.type == .timestamp }?.name }

    private static func partitions(_ schema: Schema) -> [String] { ["chain_id"] + (moment(schema) == nil ? [] : ["date"]) }

    private static func sql(_ schema: Schema) -> String {
        let date = moment(schema).map { ", CAST(\(DuckDBSession.quoted($0)) AS DATE) AS date" } ?? ""
        return "SELECT *\(date) FROM main.\(DuckDBSession.quoted(schema.name))"
    }
}

/// A folder that appears under its name when it is whole.
private final class PartialFolder {
    let partial: String
    private let path: String
    private let parent: String
    private let replaces: Bool

    init(_ parent: String, name: String, replaces: Bool) throws {
        try Folder.create(parent)
        self.parent = try PartialFile.absolute(parent)
        self.replaces = replaces
        path = self.parent + "/" + name
        partial = self.parent + "/.\(name).partial-\(getpid())"
        guard replaces || access(path, F_OK) != 0 else {
            throw SluiceError(
                SluiceError.Code("export_exists"), .config, "\(parent)/\(name) is there already",
                mend: "export into another folder, or give --force to replace it")
        }
        Self.remove(partial)
    }

    deinit { Self.remove(partial) }

    func finish() throws {
        // A table without rows has no partition, and DuckDB makes no folder then.
        try Folder.create(partial)
        let old = partial + ".old"
        let isThere = access(path, F_OK) == 0
        if isThere, replaces, rename(path, old) != 0 { throw Folder.failure("renaming \(path)") }
        guard rename(partial, path) == 0 else {
            let failure = Folder.failure("renaming \(partial) to \(path)")
            if isThere { rename(old, path) }
            throw failure
        }
        try Folder.sync(parent)
        if isThere { Self.remove(old) }
    }

    /// Removes a folder with what is in it; links are removed, not followed.
    private static func remove(_ path: String) {
        var info = stat()
        guard lstat(path, &info) == 0 else { return }
        guard info.st_mode & S_IFMT == S_IFDIR else {
            unlink(path)
            return
        }
        for name in Folder.entries(path) { remove(path + "/" + name) }
        rmdir(path)
    }
}
