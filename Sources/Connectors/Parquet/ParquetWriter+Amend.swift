import SluiceCore
import SluiceDuckDB

// Rows that are added to blocks which are there already, or in files that are open.
//
// A reader may list files, or go by manifests; it may come at any moment, also after a crash. So a file that changes is written whole,
// beside the old one, and takes its place and name by one `rename`: whoever lists files finds the one or the other. Before the first is
// exchanged, what the span is to be stands beside its manifest (`.next`), from which a start that finds it goes on. Should there be
// several files, each of them is exchanged by itself: rows of one table never depend on those of another.
extension ParquetWriter {
    /// Spans that are written: at once. Blocks in open files: when those are published.
    func amend(_ amendments: [Amendment]) throws {
        try checkUsable()
        var waiting: [Amendment] = []
        var groups: [Group: [Amendment]] = [:]
        let written = layout.manifestSpans()
        for amendment in amendments {
            guard amendment.chainID == id.chainID else {
                throw SluiceError(.parquetOrder, .fatal, "rows of chain \(amendment.chainID) for stream \(id)")
            }
            try amendment.rows.requireFit(id, schemas, code: .parquetOrder)
            let number = amendment.block.number
            if let open, open.first <= number, number <= open.span.last.number {
                guard open.span.hash(number) == amendment.block.hash else { throw Coverage.differs(amendment.block, in: place.shown) }
                waiting.append(amendment)
            } else {
                try durable.require(amendment.block, in: place.shown)
                guard let span = written.first(where: { $0.contains(number) }) else {
                    throw SluiceError(.parquetFolder, .pause, "\(layout.manifests) has no manifest with block \(number)")
                }
                if index.entries.contains(where: { $0.range == span && $0.isExpired }) {
                    throw SluiceError(
                        .blockNotHeld, .data,
                        "\(place.shown) took the rows of block \(number) off for their age, so none can be added to it",
                        mend: "choose a longer retention for rows that are to come yet")
                }
                groups[Group(span: span, column: amendment.column), default: []].append(amendment)
            }
        }
        for (group, own) in groups {
            if let block = try different(own.map(\.block), in: try manifest(group.span)) {
                throw Coverage.differs(block, in: place.shown)
            }
        }
        for (group, own) in groups.sorted(by: { ($0.key.span.lowerBound, $0.key.column) < ($1.key.span.lowerBound, $1.key.column) }) {
            try exchange(try manifest(group.span), own)
        }
        open?.amendments += waiting
    }

    /// What is exchanged in one go.
    private struct Group: Hashable {
        let span: ClosedRange<UInt64>
        /// Rows that are named by different columns may be the same ones.
        let column: String
    }

    private func manifest(_ span: ClosedRange<UInt64>) throws -> Manifest {
        try Manifest.read(layout.manifest(span.lowerBound, span.upperBound), session)
    }

    /// The tables of the open span as they are to be published, and how many rows each file has: its amendments are in them.
    func amended(_ span: OpenSpan) throws -> [String: Int] {
        var rows = span.jobs.mapValues(\.rows)
        for amendment in span.amendments {
            let schema = amendment.rows.schema
            let (file, partial) = (layout.temporaryFile(schema.name), layout.nextFile(schema.name))
            guard let count = try write(schema, [amendment], over: rows[schema.name] == nil ? nil : file, to: partial) else { continue }
            rows[schema.name] = count > 0 ? count : nil
            try count > 0 ? Layout.move(partial, to: file) : Layout.remove(file)
        }
        return rows
    }

    /// Ends what an interruption left half done: files that are whole and wait for their place get it.
    func endInterruptedAmendments() throws {
        for name in Folder.entries(layout.manifests) where name.hasSuffix(Layout.next) {
            try finish(try Manifest.read("\(layout.manifests)/\(name)", session))
        }
    }

    // MARK: - Pieces

    /// The first of some blocks of a span of which its files hold another one of that number.
    private func different(_ blocks: [BlockRef], in manifest: Manifest) throws -> BlockRef? {
        if let block = blocks.first(where: { $0.number == manifest.last.number && $0.hash != manifest.last.hash }) { return block }
        let numbers = Set(blocks.map(\.number)).sorted().map(String.init).joined(separator: ", ")
        for file in manifest.files {
            guard let schema = schemas.first(where: { $0.name == file.table }), let number = schema.blockNumberField,
                let hash = schema.blockHashField
            else { continue }
            let found = try session.rows(
                """
                SELECT DISTINCT \(DuckDBSession.quoted(number)), \(DuckDBSession.quoted(hash))
                FROM read_parquet(\(Layout.pattern(try place.local(file.path))), hive_partitioning = false)
                WHERE \(DuckDBSession.quoted(number)) IN (\(numbers))
                """, doing: "looking at blocks in \(file.path)")
            for row in found {
                if let block = blocks.first(where: { $0.number == row[0].uint64 && $0.hash.bytes != row[1].bytes }) { return block }
            }
        }
        return nil
    }

    /// Writes the files of a span anew that change, and lets them take their places.
    private func exchange(_ manifest: Manifest, _ amendments: [Amendment]) throws {
        var files = Dictionary(manifest.files.map { ($0.table, $0) }, uniquingKeysWith: { first, _ in first })
        var changed: [String] = []
        // Until all are there nothing has happened.
        do {
            for name in Folder.entries(layout.temporary) where name.hasSuffix(Layout.next) {
                try place.remove(layout.relative("\(layout.temporary)/\(name)"))
            }
            try Folder.create(layout.temporary)
            for schema in schemas where amendments.contains(where: { $0.rows.schema.name == schema.name }) {
                let (old, partial) = (files[schema.name], layout.nextFile(schema.name))
                let rows = try write(schema, amendments, over: try old.map { try place.local($0.path) }, to: partial)
                guard let rows else { continue }
                changed.append(schema.name)
                files[schema.name] = nil
                guard rows > 0 else { continue }
                let day = Int64((amendments.first?.timestamp ?? 0) / 86_400)
                let path = old?.path ?? layout.file(schema.name, day: day, manifest.first, manifest.last.number)
                files[schema.name] = Manifest.File(table: schema.name, path: path, rows: rows, bytes: try Layout.size(partial))
                try place.stage(layout.relative(partial))
            }
        } catch {
            for schema in schemas { try? place.remove(layout.relative(layout.nextFile(schema.name))) }
            throw error
        }
        guard !changed.isEmpty else { return }
        try Folder.sync(layout.temporary)
        let next = manifest.with(files.values.sorted { $0.table < $1.table })
        do {
            try publish(next, as: layout.nextManifest(manifest.first, manifest.last.number))
            try finish(next)
            for file in manifest.files where changed.contains(file.table) && files[file.table] == nil {
                try place.remove(file.path)
            }
        } catch {
            // Half done: what the folder says when it is looked at afresh counts.
            lost = true
            throw error
        }
    }

    /// Exchanges the files of a span that wait for it, and its manifest last.
    private func finish(_ next: Manifest) throws {
        for file in next.files where place.exists(layout.relative(layout.nextFile(file.table))) {
            try place.move(layout.relative(layout.nextFile(file.table)), to: file.path)
        }
        let (staged, last) = (layout.nextManifest(next.first, next.last.number), layout.manifest(next.first, next.last.number))
        try place.move(layout.relative(staged), to: layout.relative(last))
    }

    /// Writes the rows of one table as some amendments, all by one column, will have them. Returns how many they are, 0 without a file, and
    /// nil when nothing changes.
    /// - Parameter old: the file with what is there; nil when there is none.
    private func write(_ schema: Schema, _ amendments: [Amendment], over old: String?, to partial: String) throws -> Int? {
        let number = DuckDBSession.quoted(try schema.requiredBlockNumberField())
        let own = amendments.filter { $0.rows.schema.name == schema.name }
        guard let column = own.first?.column else { return nil }
        // One join: a list for each block would be one each, and DuckDB sets memory aside for every join.
        let places = own.flatMap { amendment in amendment.places.sorted().map { "(\(amendment.block.number), \($0))" } }
        func there(_ join: String) -> String? {
            old.map { path in
                """
                SELECT there.* FROM read_parquet(\(Layout.pattern(path)), hive_partitioning = false) AS there
                \(join) JOIN (VALUES \(places.joined(separator: ", "))) AS amended (number, place)
                ON there.\(number) = amended.number AND there.\(DuckDBSession.quoted(column)) = amended.place
                """
            }
        }
        let news = Table.concatenated(own.map(\.rows))
        if news.rowCount == 0 {
            // Most often what made nothing made nothing before.
            guard let there = there("SEMI"), try !session.rows("\(there) LIMIT 1").isEmpty else { return nil }
        }
        // New rows behind the others: to sort a file takes more memory than to write it. By name, because a file may be older than a column.
        try session.scanning([TableSlice(news)], as: ScanColumn.parquet(schema)) { source in
            let rows = [there("ANTI"), "SELECT * FROM \(source)"].compactMap { $0 }.joined(separator: " UNION ALL BY NAME ")
            try session.execute(
                "COPY (\(rows)) TO \(DuckDBSession.literal(partial)) (\(options.copyOptions))", doing: "writing \(partial)")
        }
        let count = try session.rows("SELECT count(*) FROM read_parquet(\(Layout.pattern(partial)))").first?.first?.uint64 ?? 0
        if count == 0 { try Layout.remove(partial) }
        return Int(count)
    }
}
