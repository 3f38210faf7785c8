import Glibc
import SluiceCore
import SluiceFormats

// Rows that are added to blocks which are there already.
//
// A file that changes is written whole, beside the old one, and forced to disk. Then the record says that it takes the old one's place, and
// tells of the files as they are to be; from there on it is done, whatever happens: a start that finds such a record gives those files their
// places that do not have them yet. Before that moment nothing has happened, and what lies there is removed.
extension FilesStore {
    func amend(_ amendments: [Amendment], of id: StreamID) throws {
        var stream = try ready(id)
        for amendment in amendments {
            guard amendment.chainID == id.chainID else {
                throw SluiceError(.sinkOrder, .fatal, "rows of chain \(amendment.chainID) for stream \(id)")
            }
            try amendment.rows.requireFit(id, stream.schemas)
            try stream.taken.require(amendment.block, in: options.directory)
        }
        // Blocks that wait for company go in with what they are to have.
        for amendment in amendments {
            guard
                let held = stream.held.firstIndex(where: {
                    $0.span.first <= amendment.block.number && amendment.block.number <= $0.span.last.number
                })
            else { continue }
            guard let batch = stream.held[held].amended(by: amendment) else {
                throw Coverage.differs(amendment.block, in: options.directory)
            }
            stream.held[held] = batch
        }
        let stored = amendments.filter { stream.record.part(of: $0.block.number) != nil }
        if !stored.isEmpty { try exchange(stored, id, stream) }
        streams[id]?.held = stream.held
    }

    private func exchange(_ amendments: [Amendment], _ id: StreamID, _ stream: Stream) throws {
        var record = stream.record
        var staged: [String] = []
        do {
            for index in record.parts.indices {
                let own = amendments.filter { record.part(of: $0.block.number) == index }
                guard !own.isEmpty else { continue }
                for amendment in own where amendment.block.number > stream.finalized {
                    try requireSame(amendment.block, stream.record.parts[index], stream)
                }
                for (table, schema) in stream.schemas.enumerated() {
                    let rows = own.filter { $0.rows.schema.isNamed(as: schema) }
                    guard !rows.isEmpty else { continue }
                    // Before it is made, so that what a failure leaves of it is found.
                    staged.append(stream.layout.staged(schema.name, record.parts[index].first))
                    guard try stage(rows, table, index, &record, stream) else { continue }
                    record.exchanges.append(FilesRecord.Exchange(first: record.parts[index].first, table: schema.name))
                }
            }
        } catch {
            text.clear()
            text.release()
            for path in staged { try? Disk.remove(path) }
            throw error
        }
        guard !record.exchanges.isEmpty else { return }
        for schema in stream.schemas { try Disk.sync(stream.layout.folder(schema.name)) }
        // When anything fails from here on, what the record tells counts.
        try guarded(id) {
            try Disk.replace(stream.layout.record, with: record.json)
            try endExchanges(&record, stream.layout)
            try Disk.replace(stream.layout.record, with: record.json)
            streams[id]?.record = record
        }
    }

    /// Gives files that wait for their places those, and removes others that nobody waits for.
    func endExchanges(_ record: inout FilesRecord, _ layout: FilesLayout) throws {
        for exchange in record.exchanges {
            let staged = layout.staged(exchange.table, exchange.first)
            if try Disk.size(staged) != nil { try Disk.rename(staged, to: layout.file(exchange.table, exchange.first)) }
        }
        record.exchanges = []
        for table in record.tables {
            let folder = layout.folder(table.name)
            for name in try Disk.entries(folder) where name.hasPrefix(".\(table.name)_") && name.hasSuffix(FilesLayout.next) {
                try Disk.remove("\(folder)/\(name)")
            }
        }
    }

    // MARK: - Blocks

    /// Makes sure that the rows that are there of a block are of that very block. One that has left no row anywhere cannot be told from another.
    private func requireSame(_ block: BlockRef, _ part: FilesRecord.Part, _ stream: Stream) throws {
        for (table, schema) in stream.schemas.enumerated() {
            guard let field = schema.blockHashField else { continue }
            let search = try BlockSearch(stream.layout.format, schema, in: stream.layout.file(schema.name, part.first))
            let range = try range(of: block.number, table, part, search, stream.record)
            guard let hash = LineColumn(field, header: search.header),
                let line = try search.lines(from: range.lowerBound, to: range.upperBound).first
            else { continue }
            if hash.text(in: line) != Array(block.hash.description.utf8) { throw Coverage.differs(block, in: options.directory) }
        }
    }

    /// Where the rows of a block stand in a part's file.
    private func range(
        of number: UInt64, _ table: Int, _ part: FilesRecord.Part, _ search: BlockSearch, _ record: FilesRecord, behind start: Int? = nil
    ) throws -> Range<Int> {
        let before = number == 0 ? nil : record.mark(upTo: number - 1, in: part)
        let known = [before?.bytes[table], start].compactMap { $0 }.max()
        let first =
            before?.number == number &- 1 || number == part.first
            ? known ?? search.start : try search.end(of: number &- 1, from: known, to: part.bytes[table])
        let mark = record.marks.first { $0.number == number }
        return first..<max(first, try mark?.bytes[table] ?? search.end(of: number, from: first, to: part.bytes[table]))
    }

    /// Writes the file of a part anew, with some amendments of its table. False when nothing changes.
    private func stage(
        _ amendments: [Amendment], _ table: Int, _ index: Int, _ record: inout FilesRecord, _ stream: Stream
    ) throws -> Bool {
        let (schema, part) = (stream.schemas[table], stream.record.parts[index])
        let (path, target) = (stream.layout.file(schema.name, part.first), stream.layout.staged(schema.name, part.first))
        let search = try BlockSearch(stream.layout.format, schema, in: path)
        let source = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard source >= 0 else { throw errno == ENOENT ? gone(path) : Disk.failure("opening \(path)") }
        defer { Glibc.close(source) }
        let file = Glibc.open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard file >= 0 else { throw Disk.failure("creating \(target)") }
        defer { Glibc.close(file) }
        var (done, written, changes) = (0, 0, [(block: UInt64, by: Int)]())
        let numbers = Set(amendments.map(\.block.number)).sorted()
        for number in numbers {
            let range = try range(of: number, table, part, search, stream.record, behind: done == 0 ? nil : done)
            let old = try search.lines(from: range.lowerBound, to: range.upperBound)
            let own = amendments.filter { $0.block.number == number }
            try requireSame(own, old, schema, search)
            let new = try own.reduce(old) { try lines($0, amendedBy: $1, search) }
            if new == old { continue }
            try Disk.copy(done..<range.lowerBound, of: source, from: path, to: file, at: written, path: target)
            written += range.lowerBound - done
            let bytes = Array(new.joined())
            try bytes.withUnsafeBytes { try Disk.write($0, to: file, at: written, path: target) }
            written += bytes.count
            done = range.upperBound
            changes.append((number, bytes.count - range.count))
        }
        guard !changes.isEmpty else {
            try Disk.remove(target)
            return false
        }
        try Disk.copy(done..<part.bytes[table], of: source, from: path, to: file, at: written, path: target)
        guard fsync(file) == 0 else { throw Disk.failure("forcing \(target) to disk") }
        record.parts[index].bytes[table] += changes.reduce(0) { $0 + $1.by }
        for mark in record.marks.indices where record.part(of: record.marks[mark].number) == index {
            let number = record.marks[mark].number
            record.marks[mark].bytes[table] += changes.reduce(0) { $1.block <= number ? $0 + $1.by : $0 }
        }
        return true
    }

    private func requireSame(_ amendments: [Amendment], _ lines: [[UInt8]], _ schema: Schema, _ search: BlockSearch) throws {
        guard let hash = schema.blockHashField.flatMap({ LineColumn($0, header: search.header) }), let line = lines.first,
            let found = hash.text(in: line)
        else { return }
        for amendment in amendments where found != Array(amendment.block.hash.description.utf8) {
            throw Coverage.differs(amendment.block, in: options.directory)
        }
    }

    // MARK: - Lines

    /// The lines of a block with the rows of an amendment in the place of those at its places, in the order of places.
    private func lines(_ old: [[UInt8]], amendedBy amendment: Amendment, _ search: BlockSearch) throws -> [[UInt8]] {
        guard let place = LineColumn(amendment.column, header: search.header) else {
            throw SluiceError(
                .amendUnsupported, .config,
                "a file of \(amendment.rows.schema.name) has no column \(amendment.column), by which rows are told",
                mend: "fill an empty folder by a backfill")
        }
        let rows = try inColumns(of: search.header, amendment.rows)
        var news =
            rows.column(amendment.column).map { column in
                (0..<rows.rowCount).map { (place: column.load($0, as: UInt64.self), row: $0) }
            } ?? []
        news.sort { $0.place < $1.place }
        var (all, next) = ([[UInt8]](), news[...])
        func made(_ row: Int) -> [UInt8] {
            text.append(rows, rows: row..<row + 1)
            return text.take { Array($0) }
        }
        for line in old {
            let own = place.number(in: line)
            if let own {
                while let new = next.first, new.place <= own { all.append(made(next.removeFirst().row)) }
                if amendment.places.contains(own) { continue }
            }
            all.append(line)
        }
        for new in next { all.append(made(new.row)) }
        return all
    }

    /// Rows in the columns that a file has: it may be older than some of them.
    private func inColumns(of header: [String]?, _ rows: Table) throws -> Table {
        guard let header, header != rows.schema.fields.map(\.name) else { return rows }
        for (field, column) in zip(rows.schema.fields, rows.columns) where !header.contains(field.name) && column.nullCount < rows.rowCount
        {
            throw SluiceError(
                .amendUnsupported, .config,
                "a file of \(rows.schema.name) was written before it had a column \(field.name), so no rows with values in it can be added there",
                mend: "fill an empty folder by a backfill")
        }
        let order = header.compactMap { rows.schema.index(of: $0) }
        let schema = Schema(
            name: rows.schema.name, key: rows.schema.key, doc: rows.schema.doc, fields: order.map { rows.schema.fields[$0] })
        return Table(schema: schema, columns: order.map { rows.columns[$0] }, rowCount: rows.rowCount)
    }
}
