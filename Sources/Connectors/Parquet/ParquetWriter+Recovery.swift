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
        var found: [Segment] = []
        for span in layout.manifestSpans() {
            let manifest = try Manifest.read(layout.manifest(span.lowerBound, span.upperBound), session)
            guard manifest.stream == id else {
                throw SluiceError(
                    .parquetFolder, .pause,
                    "\(layout.directory) holds chain \(id.chainID) as pipeline \(manifest.stream.pipeline) wrote it",
                    mend: "give \(id.pipeline) a folder of its own, or the name \(manifest.stream.pipeline) back")
            }
            guard Set(manifest.tables) == Set(schemas.map(\.name)) else {
                // A table that joins or leaves later would have a hole that nothing shows: the manifests speak of all tables.
                throw SluiceError(
                    .parquetFolder, .pause,
                    "\(id.pipeline) asks for other tables than \(layout.directory) holds of blocks \(span.lowerBound) to \(span.upperBound)",
                    mend: "give the other registers a pipeline and a folder of their own")
            }
            found.append(Segment(first: manifest.first, last: manifest.last))
        }
        durable = Coverage(Self.joined(found))
        for segment in try segments.load(id) where !durable.segments.contains(where: { $0.first <= segment.first && $0.last.number >= segment.last.number }) {
            throw SluiceError(
                .parquetFolder, .pause,
                "\(layout.directory) should hold blocks \(segment.first) to \(segment.last.number) of chain \(id.chainID), but its manifests do not name them",
                mend: "restore the folder, or remove the state file to fill it again")
        }
        try sweep()
        try segments.save(durable.segments, of: id)
    }

    /// Spans that follow each other, as one.
    private static func joined(_ spans: [Segment]) -> [Segment] {
        spans.reduce(into: []) { all, span in
            if let last = all.last, last.last.number + 1 == span.first {
                all[all.count - 1] = Segment(first: last.first, last: span.last)
            } else {
                all.append(span)
            }
        }
    }

    /// Two manifests that begin at one block: the shorter is newer, and the longer was about to go.
    private func endInterruptedRollback() throws {
        let spans = layout.manifestSpans()
        for (shorter, longer) in zip(spans, spans.dropFirst()) where shorter.lowerBound == longer.lowerBound {
            try Layout.remove(layout.manifest(longer.lowerBound, longer.upperBound))
        }
    }

    /// Removes the files that no manifest names: a crash leaves those of one span at most.
    private func sweep() throws {
        let orphans = schemas.flatMap { layout.files($0.name) }.filter { file in
            !durable.segments.contains { $0.first <= file.span.lowerBound && file.span.upperBound <= $0.last.number }
        }
        let firsts = Set(orphans.map(\.span.lowerBound))
        guard firsts.count <= 1 else {
            throw SluiceError(
                .parquetFolder, .pause,
                "\(layout.directory) holds files of chain \(id.chainID) from block \(firsts.min() ?? 0) on that no manifest names",
                mend: "move them away, or restore the folder _manifests")
        }
        for file in orphans { try Layout.remove("\(layout.directory)/\(file.path)") }
    }

    /// Removes some blocks at the end of a segment: whole spans go, the one around `position` is written again.
    func truncate(_ removed: ClosedRange<UInt64>, to position: Position) throws {
        for span in layout.manifestSpans().reversed() where removed.contains(span.upperBound) {
            let path = layout.manifest(span.lowerBound, span.upperBound)
            let manifest = try Manifest.read(path, session)
            if span.lowerBound <= position.number { try shorten(manifest, to: position) }
            try Layout.remove(path)
            try Folder.sync(layout.manifests)
            for file in manifest.files { try Layout.remove("\(layout.directory)/\(file.path)") }
        }
        _ = durable.rollback(to: position)
        try segments.save(durable.segments, of: id)
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
        try record(Manifest(stream: id, first: manifest.first, last: position, files: files, tables: manifest.tables))
    }
}
