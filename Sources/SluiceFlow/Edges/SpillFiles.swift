import Glibc
import SluiceCore
import Synchronization

/// What an edge keeps on disk: records in files, in order, each file deleted when it was read. Every call may block: they are made from the
/// edge's own thread, one at a time.
final class SpillFiles: Sendable {
    /// How far writing came.
    struct Written: Sendable {
        /// So many, from the first, are on disk. The others are not, and nothing of them counts.
        var count = 0
        /// The next one would go beyond the limit.
        var isFull = false
        var error: SluiceError?
        /// Bytes of all files now.
        var bytes: Int
    }

    /// What reading brought.
    struct Loaded: Sendable {
        var items: [EdgeItem] = []
        /// What the record weighs that comes next; nil when there is none.
        var nextWeight: Int?
        /// Bytes of all files now.
        var bytes: Int
    }

    private struct Segment {
        let path: String
        /// Bytes that hold whole records: a torn end does not count.
        var size = 0
        /// Records that were not read yet.
        var records = 0
    }

    private struct State {
        /// Read from the first, written to the last. None is without a record to read.
        var segments: [Segment] = []
        var writer: SpillFile?
        var reader: SpillFile?
        /// Where the next record begins in the first segment.
        var offset = 0
        /// Of all segments.
        var bytes = 0
        var written: UInt64 = 0
        var read: UInt64 = 0
        var encoder = BatchCodec()
        var decoder = BatchCodec()
        var scratch = ByteWriter()
    }

    /// Bytes that are written in one go, about.
    static let chunk = 1 << 20

    private let state = Mutex(State())
    private let space: SpillSpace
    private let calls: SpillCalls

    init(_ space: SpillSpace, calls: SpillCalls) {
        self.space = space
        self.calls = calls
    }

    /// Makes the folder, empty of what an earlier run left there.
    func open() throws(SluiceError) {
        calls.before()
        try SpillFolder.prepare(space.folder)
    }

    /// Deletes everything.
    func removeAll() {
        state.withLock { state in
            for segment in state.segments { unlink(segment.path) }
            (state.segments, state.writer, state.reader, state.offset, state.bytes) = ([], nil, nil, 0, 0)
        }
    }

    // MARK: writing

    /// Writes as many of the items as a chunk and the limit hold, in one go.
    func append(_ items: [EdgeItem]) -> Written {
        calls.before()
        return state.withLock { state in
            var result = Written(bytes: state.bytes)
            state.scratch.clear(keeping: 4 * Self.chunk)
            for item in items where state.scratch.count < Self.chunk {
                let start = state.scratch.count
                SpillRecord.write(item, sequence: state.written + UInt64(result.count), with: &state.encoder, into: &state.scratch)
                if state.bytes + state.scratch.count > space.limit {
                    state.scratch.cut(to: start)
                    result.isFull = true
                    break
                }
                result.count += 1
            }
            guard result.count > 0 else { return result }
            do throws(SluiceError) { try write(&state, records: result.count) } catch { (result.count, result.error) = (0, error) }
            result.bytes = state.bytes
            return result
        }
    }

    /// Writes what the scratch memory holds to the end of the last segment. What a failure leaves there is never read.
    private func write(_ state: inout State, records: Int) throws(SluiceError) {
        if let last = state.segments.last, last.size >= space.segmentSize { state.writer = nil }
        let isNew = state.writer == nil
        let segment = isNew ? Segment(path: SpillFolder.nextPath(in: space.folder)) : state.segments[state.segments.count - 1]
        guard let file = state.writer ?? SpillFile(segment.path, flags: O_WRONLY | O_CREAT | O_EXCL | O_APPEND) else {
            throw SpillFolder.unavailable("make", segment.path, errno)
        }
        guard state.scratch.bytes.withUnsafeBytes({ calls.writeAll($0, to: file) }) else {
            let code = errno
            // The space is better used by others; where this fails too, it is given back with the file.
            _ = isNew ? unlink(segment.path) : ftruncate(file.descriptor, off_t(segment.size))
            throw SpillFolder.unavailable("write to", segment.path, code)
        }
        state.writer = file
        if isNew { state.segments.append(segment) }
        state.segments[state.segments.count - 1].size += state.scratch.count
        state.segments[state.segments.count - 1].records += records
        state.bytes += state.scratch.count
        state.written += UInt64(records)
    }

    // MARK: reading

    /// Takes records from the front: the first if `takesOne` whatever it weighs, then as many as weigh no more than `room` together.
    /// - Throws: `spill_damaged`, with file and offset, when a record is not what was written.
    func read(room: Int, takesOne: Bool) throws(SluiceError) -> Loaded {
        calls.before()
        return try state.withLock { state throws(SluiceError) in
            var result = Loaded(bytes: state.bytes)
            var room = room
            while let segment = state.segments.first {
                let record = try next(&state, segment)
                guard record.weight <= room || (takesOne && result.items.isEmpty) else {
                    result.nextWeight = record.weight
                    break
                }
                result.items.append(try take(&state, segment, record))
                room -= record.weight
            }
            result.bytes = state.bytes
            return result
        }
    }

    private func next(_ state: inout State, _ segment: Segment) throws(SluiceError) -> SpillRecord {
        if state.reader == nil { state.reader = SpillFile(segment.path, flags: O_RDONLY) }
        let code = errno
        guard let file = state.reader else {
            throw damaged(segment, 0, "cannot open it: \(String(cString: strerror(code)).lowercased())")
        }
        let header = try bytes(SpillRecord.headerSize, of: file, in: segment, at: state.offset)
        do throws(SluiceError) {
            let record = try SpillRecord(header: header.bytes)
            guard record.length <= segment.size - state.offset - SpillRecord.headerSize else {
                throw ByteReader(header.bytes).malformed("a record longer than the file", at: 16)
            }
            return record
        } catch { throw damaged(segment, state.offset, error.message) }
    }

    private func take(_ state: inout State, _ segment: Segment, _ record: SpillRecord) throws(SluiceError) -> EdgeItem {
        guard let file = state.reader else { throw damaged(segment, state.offset, "it is not open") }
        let size = SpillRecord.headerSize + record.length
        let buffer = try bytes(size, of: file, in: segment, at: state.offset)
        let transit: Transit
        do throws(SluiceError) {
            transit = try record.transit(buffer.bytes, expected: state.read, with: &state.decoder)
        } catch { throw damaged(segment, state.offset, error.message) }
        state.offset += size
        state.read += 1
        state.segments[0].records -= 1
        if state.segments[0].records == 0 {
            unlink(segment.path)
            state.bytes -= segment.size
            state.segments.removeFirst()
            (state.reader, state.offset) = (nil, 0)
            if state.segments.isEmpty { state.writer = nil }
        }
        return EdgeItem(transit)
    }

    private func bytes(_ count: Int, of file: SpillFile, in segment: Segment, at offset: Int) throws(SluiceError) -> Buffer {
        guard offset + count <= segment.size else { throw damaged(segment, offset, "it ends in the middle of a record") }
        var isRead = false
        let buffer = Buffer(count: count) { isRead = file.read(into: $0, at: offset) }
        guard isRead else { throw damaged(segment, offset, "cannot read \(count) bytes") }
        return buffer
    }

    private func damaged(_ segment: Segment, _ offset: Int, _ what: String) -> SluiceError {
        SluiceError(
            .spillDamaged, .pause, "reading \(segment.path) at byte \(offset): \(what)",
            mend: "check the disk, then run again: what was lost is read from the upstream")
    }
}
