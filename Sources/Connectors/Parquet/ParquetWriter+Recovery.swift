import SluiceCore
import SluiceDuckDB

/// What a start finds, and what a rollback leaves. Manifests are the truth.
extension ParquetWriter {
    /// Brings the folder to what its manifests name, and this writer with it.
    func recover() throws {
        try Folder.create(layout.directory)
        try Folder.create(layout.manifests)
        try place.refresh(schemas.map(\.name))
        try endInterruptedAmendments()
        try place.discardTemporaries()
        let all = try Manifest.all(in: layout, session)
        for manifest in all { try check(manifest) }
        let (manifests, replaced) = try settle(all)
        for (one, next) in zip(manifests, manifests.dropFirst()) where next.first <= one.last.number {
            throw SluiceError(
                .parquetFolder, .pause, "two manifests of chain \(id.chainID) in \(place.shown) name block \(next.first)",
                mend: "restore the folder, or write to another one")
        }
        let found = Coverage(manifests.map { Segment(first: $0.first, last: $0.last) })
        for segment in try segments.load(id)
        where !found.segments.contains(where: { $0.first <= segment.first && $0.last.number >= segment.last.number }) {
            throw SluiceError(
                .parquetFolder, .pause,
                "\(place.shown) should hold blocks \(segment.first) to \(segment.last.number) of chain \(id.chainID), "
                    + "but its manifests do not name them",
                mend: "restore the folder, or remove the state file to fill it again")
        }
        try sweep(manifests, replaced)
        index = SpanIndex(manifests.map(\.entry))
        for manifest in manifests where !manifest.replaces.isEmpty { try record(manifest.replacing([])) }
        try segments.save(found.segments, of: id)
        (durable, taken, news) = (found, found, nil)
        try upkeep()
    }

    private func check(_ manifest: Manifest) throws {
        guard manifest.stream == id else {
            throw SluiceError(
                .parquetFolder, .pause,
                "\(place.shown) holds chain \(id.chainID) as pipeline \(manifest.stream.pipeline) wrote it",
                mend: "give \(id.pipeline) a folder of its own, or the name \(manifest.stream.pipeline) back")
        }
        guard Set(manifest.tables) == Set(schemas.map(\.name)) else {
            // A table that joins or leaves later would have a hole that nothing shows: the manifests speak of all tables.
            throw SluiceError(
                .parquetFolder, .pause,
                "\(id.pipeline) asks for other tables than \(place.shown) holds of blocks \(manifest.first) to \(manifest.last.number)",
                mend: "give the other registers a pipeline and a folder of their own")
        }
    }

    /// Removes manifests that do not count any more, because another one holds their blocks. Returns those that do, and the spans of the others.
    private func settle(_ all: [Manifest]) throws -> (counting: [Manifest], replaced: Set<ClosedRange<UInt64>>) {
        var names = Set(all.flatMap(\.replaces))
        // What a version before left, which did not write that down: two that begin at one block are of a rollback, and the shorter is newer.
        for (one, next) in zip(all, all.dropFirst())
        where one.first == next.first && !names.contains(one.name) && !names.contains(next.name) {
            names.insert(one.last.number > next.last.number ? one.name : next.name)
        }
        for manifest in all where names.contains(manifest.name) {
            try place.remove(layout.relative(layout.manifest(manifest.first, manifest.last.number)))
        }
        return (all.filter { !names.contains($0.name) }, Set(names.compactMap { Layout.span(of: $0, suffix: ".json") }))
    }

    /// Removes the files that no manifest names. A file counts by its name, not by its blocks: what an interrupted cut left covers blocks that
    /// are stored elsewhere, and readers would find them twice.
    ///
    /// A crash leaves files that were about to come, which begin at one block, and those of spans that were replaced or have become too old.
    private func sweep(_ manifests: [Manifest], _ replaced: Set<ClosedRange<UInt64>>) throws {
        let there = try schemas.flatMap { try place.files($0.name) }
        let paths = Set(there.map(\.path))
        // Of rows that are too old a rule of the bucket may have taken the files before the sink came to it.
        for manifest in manifests where !isOutdated(manifest.date) {
            guard let missing = manifest.files.first(where: { !paths.contains($0.path) }) else { continue }
            throw SluiceError(
                .parquetFolder, .pause, "\(place.shown)/\(missing.path) is missing, though a manifest names it",
                mend: "restore the file, or remove its manifest and the state file to fill it again")
        }
        let named = Set(manifests.flatMap { $0.files.map(\.path) })
        let leaving = replaced.union(manifests.filter(\.isExpired).map { $0.first...$0.last.number })
        let orphans = there.filter { !named.contains($0.path) }
        let firsts = Set(orphans.filter { !leaving.contains($0.span) }.map(\.span.lowerBound))
        guard firsts.count <= 1 else {
            throw SluiceError(
                .parquetFolder, .pause,
                "\(place.shown) holds files of chain \(id.chainID) from block \(firsts.min() ?? 0) on that no manifest names",
                mend: "move them away, or restore the folder _manifests")
        }
        for file in orphans { try place.remove(file.path) }
    }

    /// Removes some blocks at the end of a segment: whole spans go, the one around `position` is written again.
    func truncate(_ removed: ClosedRange<UInt64>, to position: Position) throws {
        // Said before it is done: what the folder holds beyond this is no loss when it is found half done.
        _ = durable.rollback(to: position)
        try segments.save(durable.segments, of: id)
        for span in layout.manifestSpans().reversed() where removed.contains(span.upperBound) {
            let path = layout.manifest(span.lowerBound, span.upperBound)
            let manifest = try Manifest.read(path, session)
            if span.lowerBound <= position.number {
                try shorten(manifest, to: position)
            } else {
                try forget(manifest)
                try Folder.sync(layout.manifests)
                for file in manifest.files { try place.remove(file.path) }
            }
        }
    }

    /// Writes the part of a span up to a position, under its own name.
    private func shorten(_ manifest: Manifest, to position: Position) throws {
        try Folder.create(layout.temporary)
        var files: [Manifest.File] = []
        for file in manifest.files {
            guard let span = Layout.span(of: file.path, suffix: ".parquet"),
                let field = schemas.first(where: { $0.name == file.table })?.blockNumberField
            else {
                throw SluiceError(
                    .parquetFolder, .pause,
                    "rolling back: the pipeline has no table \(file.table), "
                        + "but \(file.path) must be cut",
                    mend: "give the pipeline its table back, or remove the file and its line in the manifest")
            }
            let partial = layout.cutFile(file.table)
            let old = Layout.pattern(try place.local(file.path))
            try session.execute(
                """
                COPY (SELECT * FROM read_parquet(\(old), hive_partitioning = false)
                    WHERE \(DuckDBSession.quoted(field)) <= \(position.number)) TO \(DuckDBSession.literal(partial)) (\(options.copyOptions))
                """, doing: "cutting \(file.path)")
            let rows = try session.rows("SELECT count(*) FROM read_parquet(\(Layout.pattern(partial)))").first?.first?.uint64 ?? 0
            if rows == 0 {
                try Layout.remove(partial)
                continue
            }
            let ending = "\(Layout.padded(span.upperBound)).parquet"
            let path = "\(file.path.dropLast(ending.count))\(Layout.padded(position.number)).parquet"
            let bytes = try Layout.size(partial)
            try place.publish(partial, as: path)
            files.append(Manifest.File(table: file.table, path: path, rows: Int(rows), bytes: bytes))
        }
        let rest = Manifest(
            stream: id, first: manifest.first, last: position, files: files, tables: manifest.tables, date: manifest.date,
            isExpired: manifest.isExpired)
        try replace([manifest], by: rest)
    }
}
