import SluiceCore
import SluiceDuckDB

// What is done to spans that are written: those that ended early become one, those that are too old lose their rows.
//
// Several manifests cannot give way to one in a single step, in a folder as little as in a bucket. So the new one names those whose place it takes
// (`replaces`), and whoever reads manifests lets these not count: before it is there the old ones hold, from then on it does. The old ones and
// their files are removed behind it; when they are gone it is written once more without the names, for a rollback may give them to others.
extension ParquetWriter {
    /// What there is to do at a time, so that blocks need not wait for it long.
    private static let steps = 16

    /// Does some of what is due.
    func upkeep() throws {
        try expire(atMost: Self.steps)
        guard options.compacts else { return }
        if let run = index.joinable(blocksPerFile: options.blocksPerFile, from: options.readable(on: today()).map(Calendar.date)) {
            try join(run)
        }
    }

    // MARK: - Small files

    private func join(_ run: [SpanIndex.Entry]) throws {
        let parts = try run.map { try Manifest.read(layout.manifest($0.first, $0.last), session) }
        guard let first = parts.first, let last = parts.last else { return }
        var files: [Manifest.File] = []
        try Folder.create(layout.temporary)
        for schema in schemas {
            let old = parts.flatMap { $0.files.filter { $0.table == schema.name } }
            guard let some = old.first else { continue }
            let rows = old.reduce(0) { $0 + $1.rows }
            let partial = layout.joinedFile(schema.name)
            try copy(old, to: partial, rows: rows)
            let folder = some.path.split(separator: "/").dropLast().joined(separator: "/")
            let path = "\(folder)/\(layout.fileName(schema.name, first.first, last.last.number))"
            files.append(Manifest.File(table: schema.name, path: path, rows: rows, bytes: try Layout.size(partial)))
        }
        do {
            for file in files { try place.publish(layout.joinedFile(file.table), as: file.path) }
            let whole = Manifest(
                stream: id, first: first.first, last: last.last, files: files, tables: last.tables,
                date: parts.lazy.compactMap(\.date).first)
            try replace(parts, by: whole)
        } catch {
            // Half done: what the folder says when it is looked at afresh counts.
            lost = true
            throw error
        }
    }

    /// Writes what some files of a table hold, one behind the other.
    private func copy(_ old: [Manifest.File], to partial: String, rows: Int) throws {
        let doing = "joining \(old.count) files from \(place.shown)/\(old.first?.path ?? "") on"
        let sources = try place.local(old.map(\.path)).map { Layout.pattern($0) }.joined(separator: ", ")
        // By name, because a file may be older than a column.
        try session.execute(
            """
            COPY (SELECT * FROM read_parquet([\(sources)], hive_partitioning = false, union_by_name = true))
            TO \(DuckDBSession.literal(partial)) (\(options.copyOptions))
            """, doing: doing)
        let found = try session.rows("SELECT count(*) FROM read_parquet(\(Layout.pattern(partial)))").first?.first?.uint64 ?? 0
        guard found == UInt64(rows) else {
            try Layout.remove(partial)
            throw SluiceError(
                .parquetFolder, .pause, "\(doing): they hold \(found) rows, but their manifests say \(rows)",
                mend: "restore the files, or set compact: false to leave them as they are")
        }
    }

    /// Lets a span count instead of others, whose blocks it holds or held, and removes those. Its own files are in their places.
    func replace(_ old: [Manifest], by new: Manifest) throws {
        try record(new.replacing(old))
        for manifest in old { try forget(manifest) }
        try Folder.sync(layout.manifests)
        for file in old.flatMap(\.files) { try place.remove(file.path) }
        try record(new)
    }

    /// Removes a manifest: its span is no longer there.
    func forget(_ manifest: Manifest) throws {
        try place.remove(layout.relative(layout.manifest(manifest.first, manifest.last.number)))
        index.remove(manifest.first...manifest.last.number)
    }

    // MARK: - Old rows

    /// Takes the rows of some spans off that are older than they may be. Their manifests stay, without files: the blocks count as held, so that
    /// nothing reads them again. The manifest goes first: what names no file misses none.
    private func expire(atMost count: Int) throws {
        guard let oldest = options.oldest(on: today()) else { return }
        for entry in index.outdated(before: Calendar.date(oldest)).prefix(count) {
            let manifest = try Manifest.read(layout.manifest(entry.first, entry.last), session)
            do {
                try record(manifest.expired)
                for file in manifest.files { try place.remove(file.path) }
            } catch {
                lost = true
                throw error
            }
        }
    }

    /// Whether rows of a date are older than they may be.
    func isOutdated(_ date: String?) -> Bool {
        guard let date, let oldest = options.oldest(on: today()) else { return false }
        return date < Calendar.date(oldest)
    }

    private func today() -> Int64 { now() / 86_400 }
}
