import SluiceCore
import SluiceDuckDB

/// What a start finds, and what a rollback leaves. Manifests are the truth; a crash at any point leaves at most one span of files
/// that none of them names.
extension ParquetWriter {
    /// Brings the folder to the end of its last manifest.
    func recover() throws {
        try Folder.create(layout.directory)
        try Folder.create(layout.manifests)
        for name in Folder.entries(layout.temporary) { try Layout.remove("\(layout.temporary)/\(name)") }
        try endInterruptedRollback()
        if let span = layout.manifestSpans().last {
            let manifest = try Manifest.read(layout.manifest(span.lowerBound, span.upperBound), session)
            guard manifest.stream == id else {
                throw SluiceError(
                    .parquetFolder, .pause,
                    "\(layout.directory) holds chain \(id.chainID) as pipeline \(manifest.stream.pipeline) wrote it",
                    mend: "give \(id.pipeline) a folder of its own, or the name \(manifest.stream.pipeline) back")
            }
            durable = manifest.last
        }
        let stored = try positions.load(id)
        if let stored, stored.number > durable?.number ?? 0 || durable == nil {
            throw SluiceError(
                .parquetFolder, .pause,
                "\(layout.directory) should hold chain \(id.chainID) up to block \(stored.number), but its "
                    + "manifests end at \(durable?.number.description ?? "none")",
                mend: "restore the folder, or forget the stored position of \(id.pipeline) to fill it again")
        }
        try sweep()
        if let durable, stored != durable { try positions.save(id, durable) }
    }

    /// Two manifests that begin at one block: the shorter is newer, and the longer was about to go.
    private func endInterruptedRollback() throws {
        let spans = layout.manifestSpans()
        for (shorter, longer) in zip(spans, spans.dropFirst()) where shorter.lowerBound == longer.lowerBound {
            try Layout.remove(layout.manifest(longer.lowerBound, longer.upperBound))
        }
    }

    /// Removes the files behind the last manifest.
    private func sweep() throws {
        let orphans = schemas.flatMap { layout.files($0.name) }.filter { file in durable.map { file.span.upperBound > $0.number } ?? true }
        let firsts = Set(orphans.map(\.span.lowerBound))
        guard firsts.count <= 1 else {
            throw SluiceError(
                .parquetFolder, .pause,
                "\(layout.directory) holds files of chain \(id.chainID) from block \(firsts.min() ?? 0) on that no manifest names",
                mend: "move them away, or restore the folder _manifests")
        }
        for file in orphans { try Layout.remove("\(layout.directory)/\(file.path)") }
    }

    /// Removes everything behind a position: whole spans go, the one around it is written again.
    func truncate(to position: Position) throws {
        if durable == position { return }
        for span in layout.manifestSpans().reversed() where span.upperBound > position.number {
            let path = layout.manifest(span.lowerBound, span.upperBound)
            let manifest = try Manifest.read(path, session)
            if span.lowerBound <= position.number { try shorten(manifest, to: position) }
            try Layout.remove(path)
            try Folder.sync(layout.manifests)
            for file in manifest.files { try Layout.remove("\(layout.directory)/\(file.path)") }
            if span.lowerBound > position.number { durable = nil }
        }
        let end = try layout.manifestSpans().last.map { try Manifest.read(layout.manifest($0.lowerBound, $0.upperBound), session).last }
        durable = end
        // A manifest without files marks the position where no span ends.
        if end != position { try record(Manifest(stream: id, first: position.number, last: position, files: [])) }
        try positions.save(id, position)
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
                    .parquetFolder, .pause, "rolling back: the pipeline has no table \(file.table), "
                        + "but \(file.path) must be cut",
                    mend: "give the pipeline its table back, or remove the file and its line in the manifest")
            }
            let partial = layout.temporaryFile(file.table)
            let old = DuckDBSession.literal("\(layout.directory)/\(file.path)")
            try session.execute(
                """
                COPY (SELECT * FROM read_parquet(\(old), hive_partitioning = false)
                    WHERE \(DuckDBSession.quoted(field)) <= \(position.number)) TO \(DuckDBSession.literal(partial)) (\(options.copyOptions))
                """, doing: "cutting \(file.path)")
            let rows = try session.rows("SELECT count(*) FROM read_parquet(\(DuckDBSession.literal(partial)))").first?.first?.uint64 ?? 0
            if rows == 0 {
                try Layout.remove(partial)
                continue
            }
            let ending = "\(Layout.padded(span.upperBound)).parquet"
            let path = "\(file.path.dropLast(ending.count))\(Layout.padded(position.number)).parquet"
            let bytes = try Layout.size(partial)
            try Layout.publish(partial, as: "\(layout.directory)/\(path)")
            files.append(Manifest.File(table: file.table, path: path, rows: Int(rows), bytes: bytes))
        }
        try record(Manifest(stream: id, first: manifest.first, last: position, files: files))
    }
}
