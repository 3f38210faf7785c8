import Glibc
import SluiceCore
import SluiceFormats

// What a start finds, and what a rollback leaves.
extension FilesStore {
    /// Brings the files to what their record tells. Does nothing to files that it does not tell of.
    func recover(_ id: StreamID, _ tables: [Schema], _ layout: FilesLayout) throws -> FilesRecord {
        let shapes = tables.map(FilesRecord.shape)
        guard let text = try Disk.text(layout.record) else {
            for table in tables { try refuseUnknown(table.name, layout, known: []) }
            let record = FilesRecord(stream: id, format: layout.format, tables: shapes)
            try Disk.replace(layout.record, with: record.json)
            return record
        }
        guard var record = FilesRecord(json: text) else {
            throw SluiceError(
                .filesFolder, .pause, "\(layout.record) cannot be read", mend: "restore it, or write to another folder")
        }
        let before = record
        try requireSame(record, id, tables, layout)
        for part in record.parts where part.last == nil { try removeFiles(of: part, record, layout) }
        record.parts.removeAll { $0.last == nil }
        try endExchanges(&record, layout)
        for part in record.parts { try restore(part, record, layout) }
        for table in record.tables {
            try refuseUnknown(table.name, layout, known: Set(record.parts.map { layout.name(table.name, $0.first) }))
        }
        try reshape(&record, shapes, layout)
        if record != before { try Disk.replace(layout.record, with: record.json) }
        return record
    }

    private func requireSame(_ record: FilesRecord, _ id: StreamID, _ tables: [Schema], _ layout: FilesLayout) throws {
        let isEmpty = record.coverage.segments.isEmpty
        guard record.format == layout.format else {
            throw SluiceError(
                .filesFolder, .pause, "\(layout.directory) holds chain \(id.chainID) as \(record.format.rawValue)",
                mend: "give this sink a folder of its own")
        }
        guard record.stream == id || isEmpty else {
            throw SluiceError(
                .filesFolder, .pause, "\(layout.directory) holds chain \(id.chainID) as pipeline \(record.stream.pipeline) wrote it",
                mend: "give \(id.pipeline) a folder of its own, or the name \(record.stream.pipeline) back")
        }
        // A table that joins or leaves later would have a hole that nothing shows: the record speaks of all tables.
        let different = Set(record.tables.map(\.name)).symmetricDifference(tables.map(\.name)).min()
        guard let different, !isEmpty else { return }
        let news = tables.contains { $0.name == different } ? "now asks for" : "no longer asks for"
        throw SluiceError(
            .filesFolder, .pause, "\(id.pipeline) \(news) table \(different), but \(layout.directory) holds its blocks without that",
            mend: "give the other registers a pipeline and a folder of their own")
    }

    /// Takes the columns of now. Files are written with one set of columns each: those that are there get no more rows.
    private func reshape(_ record: inout FilesRecord, _ shapes: [FilesRecord.Shape], _ layout: FilesLayout) throws {
        guard record.tables != shapes else { return }
        if record.parts.isEmpty {
            record.tables = shapes
            return
        }
        let old = Dictionary(record.tables.map { ($0.name, $0.columns) }, uniquingKeysWith: { first, _ in first })
        for shape in shapes {
            let missing = (old[shape.name] ?? []).first { !shape.columns.contains($0) }
            guard let missing else { continue }
            throw SluiceError(
                .filesFolder, .pause, "\(layout.directory) holds \(shape.name) with a column \(missing), which is no more",
                mend: "write to another folder; the sink changes no column's type, and takes none away")
        }
        let order = shapes.map { shape in record.tables.firstIndex { $0.name == shape.name } ?? 0 }
        for index in record.parts.indices {
            record.parts[index].isSealed = true
            record.parts[index].bytes = order.map { record.parts[index].bytes[$0] }
        }
        record.marks = record.marks.map { mark in FilesRecord.Mark(number: mark.number, bytes: order.map { mark.bytes[$0] }) }
        record.tables = shapes
    }

    /// Cuts off what is behind the end of a part's files.
    private func restore(_ part: FilesRecord.Part, _ record: FilesRecord, _ layout: FilesLayout) throws {
        for (table, bytes) in zip(record.tables, part.bytes) {
            let path = layout.file(table.name, part.first)
            guard let size = try Disk.size(path) else { throw gone(path) }
            guard size >= bytes else { throw changed(path, size, bytes) }
            if size > bytes { try Disk.cut(path, to: bytes) }
        }
    }

    private func removeFiles(of part: FilesRecord.Part, _ record: FilesRecord, _ layout: FilesLayout) throws {
        for table in record.tables { try Disk.remove(layout.file(table.name, part.first)) }
    }

    /// Files that no record tells of would be found by readers: whose they are, only the operator knows.
    private func refuseUnknown(_ table: String, _ layout: FilesLayout, known: Set<String>) throws {
        let found = try Disk.entries(layout.folder(table)).first { $0.hasPrefix("\(table)_") && !known.contains($0) }
        guard let found else { return }
        throw SluiceError(
            .filesFolder, .pause, "\(layout.folder(table)) holds \(found), of which \(layout.record) does not tell",
            mend: "move it away, or restore that record")
    }

    // MARK: - Rollback

    /// Takes off blocks at the end of a segment: first in the record, then in the files.
    func takeOff(_ removed: ClosedRange<UInt64>, to position: Position, _ id: StreamID) throws {
        guard let stream = streams[id] else { return }
        var record = stream.record
        for index in record.parts.indices {
            guard let last = record.parts[index].last, removed.contains(last.number) else { continue }
            if removed.contains(record.parts[index].first) {
                record.parts[index].last = nil
            } else {
                record.parts[index].bytes = try ends(of: position.number, in: record.parts[index], record, stream)
                record.parts[index].last = position
            }
        }
        record.marks.removeAll { removed.contains($0.number) }
        guard record != stream.record else { return }
        try Disk.replace(stream.layout.record, with: record.json)
        for part in record.parts where part.last == nil { try removeFiles(of: part, record, stream.layout) }
        record.parts.removeAll { $0.last == nil }
        if let part = record.part(of: position.number) { try restore(record.parts[part], record, stream.layout) }
        streams[id]?.record = record
    }

    /// How long the files of a part are at the end of one of its blocks.
    private func ends(of number: UInt64, in part: FilesRecord.Part, _ record: FilesRecord, _ stream: Stream) throws -> [Int] {
        let mark = record.mark(upTo: number, in: part)
        if let mark, mark.number == number { return mark.bytes }
        return try stream.schemas.enumerated().map { table, schema in
            let search = try BlockSearch(stream.layout.format, schema, in: stream.layout.file(schema.name, part.first))
            return try search.end(of: number, from: mark?.bytes[table], to: part.bytes[table])
        }
    }

    // MARK: - Errors

    func gone(_ path: String) -> SluiceError {
        SluiceError(.filesFolder, .pause, "\(path) is gone", mend: "restore the file; or remove the folder and all in it to fill it again")
    }

    func changed(_ path: String, _ size: Int, _ expected: Int) -> SluiceError {
        SluiceError(
            .filesFolder, .pause, "\(path) has \(size) bytes, but should have \(expected): something else has changed it",
            mend: "restore the file; or remove the folder and all in it to fill it again")
    }
}
