import Glibc
public import SluiceCore
import SluiceFormats

/// Prints rows on standard output. It cannot undo, so it is given only what is final. A position is kept when the rows were written: a crash
/// between the two prints them again.
public final class StdoutSink: Sink {
    private let printer: Printer
    private let segments: any SegmentStore

    /// - Parameter descriptor: where it prints; nil: standard output.
    public init(_ options: StdoutSinkOptions, segments: any SegmentStore, descriptor: Int32? = nil) {
        printer = Printer(options, descriptor ?? STDOUT_FILENO)
        self.segments = segments
    }

    public var delivery: Delivery { .atLeastOnce }
    public var holdsBackToFinality: Bool { true }

    /// - Throws: `config` for tables that the format cannot tell apart.
    public func open(_ stream: StreamID, tables: [Schema]) async throws -> any SinkStream {
        try await printer.open(stream, tables: tables, segments)
        return StdoutSinkStream(id: stream, printer: printer, segments: segments)
    }

    public func close() async {}

    /// One thread for all that is printed: whoever reads may be slow.
    actor Printer {
        private let options: StdoutSinkOptions
        private let descriptor: Int32
        nonisolated let worker = WorkerThread(name: "stdout-sink")
        private var streams: [StreamID: (coverage: Coverage, tables: [Schema])] = [:]
        private var text: TextRows
        private var header: Schema?

        nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }

        init(_ options: StdoutSinkOptions, _ descriptor: Int32) {
            (self.options, self.descriptor) = (options, descriptor)
            text = TextRows(options.format, member: options.format == .jsonl ? "table" : nil)
        }

        func open(_ id: StreamID, tables: [Schema], _ segments: any SegmentStore) throws {
            switch options.format {
            case .csv:
                guard tables.count == 1, header.map({ $0 == tables[0] }) ?? true else {
                    throw SluiceError(
                        .stdoutTables, .config,
                        "CSV on standard output is one table, but \(id) has \(tables.map(\.name).joined(separator: ", "))",
                        mend: "ask for one register with one table, or set format: jsonl")
                }
                if header == nil {
                    header = tables[0]
                    text.header(tables[0])
                }
            case .jsonl:
                guard let table = tables.first(where: { $0.index(of: "table") != nil }) else { break }
                throw SluiceError(
                    .stdoutTables, .config, "\(table.name) has a column \"table\", which every line has to name its table by",
                    mend: "use a sink of type jsonl")
            }
            streams[id] = (Coverage(options.resumes ? try segments.load(id) : []), tables)
        }

        func coverage(of id: StreamID) -> [Segment] { streams[id]?.coverage.segments ?? [] }

        func write(_ batch: Batch, of id: StreamID, _ segments: any SegmentStore) throws -> Position {
            guard let (held, tables) = streams[id] else { throw id.isNotOpen }
            var coverage = held
            try batch.requireFit(id, tables)
            try coverage.append(batch.span, stream: id)
            for table in batch.tables { text.append(table, rows: 0..<table.rowCount) }
            try text.take { try print($0, of: id) }
            if options.resumes { try segments.save(coverage.segments, of: id) }
            streams[id]?.coverage = coverage
            return batch.span.last
        }

        func rollback(to position: Position, of id: StreamID, _ segments: any SegmentStore) throws {
            guard var coverage = streams[id]?.coverage, coverage.rollback(to: position) != nil else { return }
            if options.resumes { try segments.save(coverage.segments, of: id) }
            streams[id]?.coverage = coverage
        }

        private func print(_ bytes: UnsafeRawBufferPointer, of id: StreamID) throws {
            // Who reads may go away: that ends a call, not the process. This thread has no other use.
            var pipe = sigset_t()
            sigemptyset(&pipe)
            sigaddset(&pipe, SIGPIPE)
            pthread_sigmask(SIG_BLOCK, &pipe, nil)
            var done = 0
            while done < bytes.count {
                let count = Glibc.write(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done)
                if count < 0 && errno == EINTR { continue }
                if count < 0 && errno == EAGAIN {
                    var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    poll(&waiting, 1, 1000)
                    continue
                }
                guard count > 0 else {
                    throw SluiceError(
                        .stdoutFailed, .pause, "printing rows of \(id): \(String(cString: strerror(errno)).lowercased())",
                        mend: "start it again with a standard output that somebody reads; what was not taken is printed then")
                }
                done += count
            }
        }
    }
}

extension SluiceError.Code {
    /// Standard output does not take rows.
    public static let stdoutFailed = SluiceError.Code("stdout_failed")
    /// The tables cannot be told apart in what is printed.
    public static let stdoutTables = SluiceError.Code("stdout_tables")
}

/// One stream; the printer does the work.
struct StdoutSinkStream: SinkStream {
    let id: StreamID
    let printer: StdoutSink.Printer
    let segments: any SegmentStore

    var executor: (any TaskExecutor)? { printer.worker }
    func coverage() async throws -> [Segment] { await printer.coverage(of: id) }
    func write(_ batch: Batch) async throws -> Position? { try await printer.write(batch, of: id, segments) }
    func flush() async throws -> Position? { nil }
    func rollback(to position: Position) async throws { try await printer.rollback(to: position, of: id, segments) }
    func finish() async throws -> Position? { nil }
}
