import SluiceCore
import Synchronization

/// A sink in the place of one case, with what cases do with it again and again.
final class Subject: Sendable {
    let promises: SinkPromises
    let place: SinkPlace
    private let opened = Mutex<[any Sink]>([])

    static let id = StreamID(pipeline: "p", chainID: 1)

    init(promises: SinkPromises, place: SinkPlace) {
        self.promises = promises
        self.place = place
    }

    /// A sink as a new process would make it.
    func sink() async throws -> any Sink {
        let sink = try await place.sink()
        opened.withLock { $0.append(sink) }
        return sink
    }

    /// A new sink and a stream of it.
    func open(_ id: StreamID = Subject.id, tables: [Schema] = SmallChain.schemas) async throws -> (sink: any Sink, stream: any SinkStream) {
        let sink = try await sink()
        return (sink, try await sink.open(id, tables: tables))
    }

    /// Closes all that were opened, so that nothing is held for a place that is gone.
    func closeAll() async {
        let all = opened.withLock { opened in
            defer { opened = [] }
            return opened
        }
        for sink in all { await sink.close() }
    }

    /// Makes all durable that was taken, in whatever unit. Returns the position that became durable by it.
    @discardableResult
    func settle(_ stream: any SinkStream) async throws -> Position? {
        let position = try await stream.flush()
        return promises.flushesAll ? position : try await stream.finish() ?? position
    }

    /// The error that something ends with; nil when it does not end with one of ours.
    func failure(_ body: () async throws -> Void) async -> SluiceError? {
        do {
            try await body()
            return nil
        } catch let error as SluiceError { return error } catch { return nil }
    }
}

/// Blocks of the small chain, of one fork.
struct Blocks: Sendable {
    let range: ClosedRange<UInt64>
    let fork: UInt8

    init(_ range: ClosedRange<UInt64>, fork: UInt8 = 0) {
        self.range = range
        self.fork = fork
    }
}

extension SinkConformance.Findings {
    /// That a store holds exactly the rows of some blocks, with those of amendments in the place of what these name.
    /// - Parameter isDisturbed: whether a call did not come to its end before: then some stores may show rows of further blocks.
    mutating func expectBlocks(
        _ subject: Subject, _ blocks: [Blocks], amended: [Amendment] = [], id: StreamID = Subject.id, logs: Schema = SmallChain.logs,
        isDisturbed: Bool = false, line: Int = #line
    ) async throws {
        var batches = blocks.map { SmallChain.batch($0.range, fork: $0.fork, logs: logs, chainID: id.chainID) }
        for amendment in amended { batches = batches.map { $0.amended(by: amendment) ?? $0 } }
        for schema in [SmallChain.blocks, logs] {
            let expected = batches.compactMap { $0.table(schema.name) }.flatMap(SinkRows.of)
            var found = try await subject.place.rows(schema, id)
            if isDisturbed, subject.promises.leavesStrays {
                let numbers = Set(blocks.flatMap { Array($0.range) }.map { "\($0)" })
                found = found.filter { $0[1].map(numbers.contains) ?? true }
            }
            if let difference = SinkRows.difference(found, expected, inOrder: subject.promises.keepsOrder) {
                expect(false, "\(schema.name) of \(id): \(difference)", line: line)
            }
        }
    }

    /// That something is refused.
    mutating func expectRefusal(
        _ subject: Subject, _ what: String, code: SluiceError.Code? = nil, class kinds: Set<SluiceError.Class>? = nil, line: Int = #line,
        _ body: () async throws -> Void
    ) async {
        guard let error = await subject.failure(body) else { return expect(false, "\(what): no error of ours", line: line) }
        if let code { expect(error.code == code, "\(what): \(error.debugDescription), not \(code.rawValue)", line: line) }
        if let kinds { expect(kinds.contains(error.class), "\(what): \(error.debugDescription), not of \(kinds)", line: line) }
    }
}
