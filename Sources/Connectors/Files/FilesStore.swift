import Glibc
import SluiceCore
import SluiceFormats

/// The files of all streams, on one thread.
///
/// What was taken is written in this order: rows behind the end of the files, forced to disk; then the record that says how far the files
/// count, in the place of the one before. What is taken off goes the other way round: first the record, then the bytes. So the record never
/// tells of more than is there, and whatever a crash leaves behind what it tells is cut off at the next start.
actor FilesStore {
    struct Stream {
        let schemas: [Schema]
        let layout: FilesLayout
        /// What is on the disk.
        var record: FilesRecord
        /// What is covered with all that was taken.
        var taken: Coverage
        var held: [Batch] = []
        var rows = 0
        var bytes = 0
        /// Blocks up to here will not be undone.
        var finalized: UInt64 = 0
        /// The last block of the batch that was stored last, until the caller is told.
        var news: Position?
        var lost = false

        /// Forgets what is held.
        mutating func drop() { (held, rows, bytes) = ([], 0, 0) }
    }

    /// Ends of blocks that are kept at most; what lies deeper is looked for in the files.
    static let markLimit: UInt64 = 1_024
    /// Text that is gathered before it is written.
    private static let chunk = 256 << 10

    let options: FilesSinkOptions
    nonisolated let worker = WorkerThread(name: "files-sink")
    var streams: [StreamID: Stream] = [:]
    /// By chain: held for as long as this process writes it.
    private var locks: [UInt64: ProcessLock] = [:]
    var text: TextRows

    nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }

    init(_ options: FilesSinkOptions) {
        self.options = options
        text = TextRows(options.format)
    }

    // MARK: - Streams

    func open(_ id: StreamID, tables: [Schema]) throws {
        for table in tables { _ = try table.requiredNumber() }
        if let other = streams.keys.first(where: { $0.chainID == id.chainID && $0 != id }) {
            throw SluiceError(
                .filesFolder, .config, "\(id) and \(other) would write the same chain to \(options.directory)",
                mend: "give each pipeline a folder of its own")
        }
        let layout = FilesLayout(directory: options.directory, chainID: id.chainID, format: options.format)
        try Disk.create(folder: layout.records)
        try lock(layout)
        let record = try recover(id, tables, layout)
        streams[id] = Stream(schemas: tables, layout: layout, record: record, taken: record.coverage)
    }

    func coverage(of id: StreamID) throws -> [Segment] {
        guard let stream = streams[id] else { throw id.isNotOpen }
        if stream.lost {
            let record = try recover(id, stream.schemas, stream.layout)
            streams[id] = Stream(
                schemas: stream.schemas, layout: stream.layout, record: record, taken: record.coverage, finalized: stream.finalized)
        }
        return streams[id]?.taken.segments ?? []
    }

    func write(_ batch: Batch, of id: StreamID) throws -> Position? {
        var stream = try ready(id)
        try batch.requireFit(id, stream.schemas)
        try stream.taken.append(batch.span, stream: id)
        stream.held.append(batch)
        stream.rows += batch.rowCount
        stream.bytes += batch.byteCount
        streams[id] = stream
        if stream.rows >= options.commitRows || stream.bytes >= options.commitBytes { try commit(id) }
        return report(id)
    }

    func flush(_ id: StreamID) throws -> Position? {
        if try !ready(id).held.isEmpty { try commit(id) }
        return report(id)
    }

    func finalized(_ number: UInt64, of id: StreamID) {
        guard let stream = streams[id] else { return }
        streams[id]?.finalized = max(stream.finalized, number)
    }

    func rollback(_ id: StreamID, to position: Position) throws {
        var stream = try ready(id)
        guard let removed = stream.taken.rollback(to: position) else { return }
        stream.held = stream.held.compactMap { batch in
            if removed.contains(batch.span.first) { return nil }
            return removed.contains(batch.span.last.number) ? batch.through(block: position.number) : batch
        }
        streams[id] = stream
        try commit(id)
        try guarded(id) { try takeOff(removed, to: position, id) }
        // The caller knows this position: it named it.
        streams[id]?.news = nil
    }

    func close() {
        (streams, locks) = ([:], [:])
    }

    // MARK: - Writing

    /// Writes what is held: part by part, for the record can tell of one beginning at a time.
    private func commit(_ id: StreamID) throws {
        guard let stream = streams[id], let last = stream.held.last else { return }
        try guarded(id) {
            var record = stream.record
            var left = stream.held[...]
            while let batch = left.popFirst() {
                let part = try place(batch.span.first, &record, stream)
                var (whole, group) = (batch, [Batch]())
                while true {
                    if let end = end(of: record.parts[part]), whole.span.last.number > end {
                        group.append(whole.through(block: end))
                        left = [whole.behind(block: end)] + left
                        break
                    }
                    group.append(whole)
                    guard let next = left.first, next.span.first == whole.span.last.number + 1,
                        end(of: record.parts[part]).map({ next.span.first <= $0 }) ?? true
                    else { break }
                    whole = left.removeFirst()
                }
                try append(group, to: part, &record, stream)
            }
            trim(&record, stream.finalized)
            try Disk.replace(stream.layout.record, with: record.json)
            streams[id]?.record = record
            streams[id]?.news = last.span.last
            streams[id]?.drop()
        }
    }

    /// The last block that a part may hold.
    private func end(of part: FilesRecord.Part) -> UInt64? {
        options.blocksPerFile == 0 ? nil : (part.first / options.blocksPerFile + 1) * options.blocksPerFile - 1
    }

    /// The part that a block goes to: the one that ends before it, or a new one, whose files are made.
    private func place(_ first: UInt64, _ record: inout FilesRecord, _ stream: Stream) throws -> Int {
        let found = record.parts.firstIndex { part in
            part.last.map { $0.number + 1 == first } ?? false && !part.isSealed && end(of: part).map { first <= $0 } ?? true
        }
        if let found { return found }
        let index = record.parts.firstIndex { $0.first > first } ?? record.parts.endIndex
        record.parts.insert(FilesRecord.Part(first: first, last: nil, bytes: stream.schemas.map { _ in 0 }), at: index)
        // Said before it is done, so that a crash leaves no file that nobody knows.
        try Disk.replace(stream.layout.record, with: record.json)
        for (table, schema) in stream.schemas.enumerated() {
            let path = stream.layout.file(schema.name, first)
            try Disk.create(folder: stream.layout.folder(schema.name))
            let file = Glibc.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
            guard file >= 0 else { throw Disk.failure("creating \(path)") }
            defer { Glibc.close(file) }
            text.header(schema)
            record.parts[index].bytes[table] = text.count
            try text.take { try Disk.write($0, to: file, at: 0, path: path) }
            if fsync(file) != 0 { throw Disk.failure("forcing \(path) to disk") }
            try Disk.sync(stream.layout.folder(schema.name))
        }
        return index
    }

    /// Rows of batches that follow each other, behind those of a part.
    private func append(_ batches: [Batch], to part: Int, _ record: inout FilesRecord, _ stream: Stream) throws {
        guard let last = batches.last?.span.last else { return }
        let marked = max(stream.finalized, last.number - min(last.number, Self.markLimit - 1))
        let numbers = Array(min(max(marked, batches[0].span.first), last.number)...last.number)
        var ends = numbers.map { _ in record.parts[part].bytes }
        for (table, schema) in stream.schemas.enumerated() {
            let path = stream.layout.file(schema.name, record.parts[part].first)
            let tables = batches.compactMap { $0.table(schema.name) }.filter { $0.rowCount > 0 }
            guard !tables.isEmpty else { continue }
            let file = Glibc.open(path, O_WRONLY | O_CLOEXEC)
            guard file >= 0 else { throw errno == ENOENT ? gone(path) : Disk.failure("opening \(path)") }
            defer { Glibc.close(file) }
            var info = stat()
            guard fstat(file, &info) == 0 else { throw Disk.failure("looking at \(path)") }
            var end = record.parts[part].bytes[table]
            guard Int(info.st_size) == end else { throw changed(path, Int(info.st_size), end) }
            let field = try schema.requiredNumber()
            var next = 0
            for rows in tables {
                let column = rows.column(field)
                text.begin(rows)
                for row in 0..<rows.rowCount {
                    let number = column?.load(row, as: UInt64.self) ?? 0
                    while next < numbers.count, numbers[next] < number {
                        ends[next][table] = end + text.count
                        next += 1
                    }
                    text.line(row)
                    guard text.count >= Self.chunk else { continue }
                    let at = end
                    end += text.count
                    try text.take { try Disk.write($0, to: file, at: at, path: path) }
                }
            }
            text.release()
            let at = end
            end += text.count
            try text.take { try Disk.write($0, to: file, at: at, path: path) }
            if fdatasync(file) != 0 { throw Disk.failure("forcing \(path) to disk") }
            for index in next..<numbers.count { ends[index][table] = end }
            record.parts[part].bytes[table] = end
        }
        record.parts[part].last = last
        record.marks.removeAll { numbers[0] <= $0.number && $0.number <= last.number }
        record.marks += zip(numbers, ends).map { FilesRecord.Mark(number: $0, bytes: $1) }
        record.marks.sort { $0.number < $1.number }
    }

    /// Forgets ends of blocks that no rollback goes to. Of those that are final the last one stays: there a search begins.
    private func trim(_ record: inout FilesRecord, _ finalized: UInt64) {
        let final = record.marks.lastIndex { $0.number <= finalized } ?? 0
        record.marks.removeFirst(max(final, record.marks.count - min(record.marks.count, Int(Self.markLimit))))
    }

    // MARK: - Pieces

    /// Runs `body`; when it fails, what was taken is forgotten, and the stream must be resumed from what the record tells.
    func guarded(_ id: StreamID, _ body: () throws -> Void) throws {
        do { try body() } catch {
            text.take { _ in }
            streams[id]?.drop()
            streams[id]?.lost = true
            throw error
        }
    }

    /// A process that was believed dead must not write beside this one.
    private func lock(_ layout: FilesLayout) throws {
        if locks[layout.chainID] != nil { return }
        do { locks[layout.chainID] = try ProcessLock.take(layout.lock) } catch {
            switch error {
            case .held:
                throw SluiceError(
                    .filesFolder, .pause, "another process writes chain \(layout.chainID) to \(options.directory)",
                    mend: "stop one of the two, or give each a folder of its own")
            case .unwritable(let code): throw Disk.failure("creating \(layout.lock)", code)
            case .unlockable(let code): throw Disk.failure("locking \(layout.lock)", code)
            }
        }
    }

    func ready(_ id: StreamID) throws -> Stream {
        guard let stream = streams[id] else { throw id.isNotOpen }
        guard !stream.lost else {
            throw SluiceError(.filesReopen, .retry, "rows of \(id) could not be written: resume from the stored position")
        }
        return stream
    }

    private func report(_ id: StreamID) -> Position? {
        defer { streams[id]?.news = nil }
        return streams[id]?.news
    }
}

extension Schema {
    func requiredNumber() throws -> String {
        // A path is made of the name.
        let isPlain = !name.isEmpty && name.utf8.allSatisfy { (48...57).contains($0) || (97...122).contains($0 | 0x20) || $0 == 95 }
        guard isPlain else {
            throw SluiceError(.filesFolder, .config, "table \(name.jsonQuoted) cannot name a file: letters, digits and _ can")
        }
        guard let field = blockNumberField else {
            throw SluiceError(.filesFolder, .config, "table \(name) lacks a block number, so its rows could not be undone")
        }
        return field
    }
}
