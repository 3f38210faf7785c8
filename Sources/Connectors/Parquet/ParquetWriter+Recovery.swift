import SluiceCore
import SluiceDuckDB

/// What a start finds, and what a rollback leaves. Manifests are the truth; a crash at any point leaves at most one span of files
/// that none of them names.
extension ParquetWriter {
    /// Brings the folder to what its manifests name, and this writer with it.
    func recover() throws {
        try Folder.create(layout.directory)
        try Folder.create(layout.manifests)
        try place.refresh(schemas.map(\.name))
        try endInterruptedAmendments()
        try place.discardTemporaries()
        try endInterruptedRollback()
        let manifests = try Manifest.all(in: layout, session)
        for manifest in manifests { try check(manifest) }
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
        try sweep(keeping: Set(manifests.flatMap { $0.files.map(\.path) }))
        try segments.save(found.segments, of: id)
        (durable, taken, news) = (found, found, nil)
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

    /// Two manifests that begin at one block: the shorter is newer, and the longer was about to go.
    private func endInterruptedRollback() throws {
        let spans = layout.manifestSpans()
        for (shorter, longer) in zip(spans, spans.dropFirst()) where shorter.lowerBound == longer.lowerBound {
            try place.remove(layout.relative(layout.manifest(longer.lowerBound, longer.upperBound)))
        }
    }

    /// Removes the files that no manifest names: a crash leaves those that begin at one block at most. A file counts by its name, not
    /// by its blocks: what an interrupted cut left covers blocks that are stored elsewhere, and readers would find them twice.
    private func sweep(keeping named: Set<String>) throws {
        let there = try schemas.flatMap { try place.files($0.name) }
        if let missing = named.subtracting(there.map(\.path)).min() {
            throw SluiceError(
                .parquetFolder, .pause, "\(place.shown)/\(missing) is missing, though a manifest names it",
                mend: "restore the file, or remove its manifest and the state file to fill it again")
        }
        let orphans = there.filter { !named.contains($0.path) }
        let firsts = Set(orphans.map(\.span.lowerBound))
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
            if span.lowerBound <= position.number { try shorten(manifest, to: position) }
            try place.remove(layout.relative(path))
            try Folder.sync(layout.manifests)
            for file in manifest.files { try place.remove(file.path) }
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
        try record(Manifest(stream: id, first: manifest.first, last: position, files: files, tables: manifest.tables))
    }
}
