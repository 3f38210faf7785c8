import SluiceCore

/// A random run of one sink: what is written, undone, amended, flushed and opened anew comes from a seed, and is held against a model in memory.
public struct SinkModel: Sendable {
    /// What one stream should hold.
    private struct Held {
        let id: StreamID
        var stream: any SinkStream
        /// What was taken, and what of it is surely durable.
        var taken = Coverage()
        var durable = Coverage()
        /// Of each block that was ever taken, the fork of the one that counts, and its rows.
        var forks: [UInt64: UInt8] = [:]
        var rows: [UInt64: Batch] = [:]
        var finalized: UInt64 = 0
    }

    private let subject: Subject
    private var random: SeededRandom
    private var sink: any Sink
    private var held: [Held] = []
    private var nextFork: UInt8 = 1
    private var log: [String] = []
    private var findings = SinkConformance.Findings()

    private static let ids = [StreamID(pipeline: "p", chainID: 1), StreamID(pipeline: "p", chainID: 5)]

    /// Makes `steps` random steps with a sink; returns what did not hold, with the steps that led to it.
    public static func run(_ sink: SinkUnderTest, name: String, seed: UInt64, steps: Int) async throws -> [String] {
        let isSmall = seed % 2 == 0
        let place = try await sink.place(SinkRequest(name: name, isSmall: isSmall, isCut: false))
        let subject = Subject(promises: sink.promises, place: place)
        var model = SinkModel(subject: subject, random: SeededRandom(seed: seed), sink: try await subject.sink())
        do {
            try await model.openAll()
            for _ in 0..<steps where model.findings.violations.isEmpty { try await model.step() }
            if model.findings.violations.isEmpty { try await model.reopen(afterSettling: true) }
        } catch {
            model.findings.expect(false, "it threw \((error as? SluiceError)?.debugDescription ?? "\(error)")")
        }
        await subject.closeAll()
        await place.end()
        return model.findings.violations.isEmpty ? [] : model.findings.violations + ["steps: " + model.log.joined(separator: "; ")]
    }

    private init(subject: Subject, random: SeededRandom, sink: any Sink) {
        (self.subject, self.random, self.sink) = (subject, random, sink)
    }

    private mutating func openAll() async throws {
        var streams: [any SinkStream] = []
        for id in Self.ids { streams.append(try await sink.open(id, tables: SmallChain.schemas)) }
        if held.isEmpty { held = zip(Self.ids, streams).map { Held(id: $0, stream: $1) } }
        for index in held.indices { held[index].stream = streams[index] }
    }

    // MARK: - Steps

    private mutating func step() async throws {
        let index = Int.random(in: 0..<held.count, using: &random)
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<8: try await write(index)
        case 8: try await refused(index)
        case 9...11: try await settle(index)
        case 12...14: try await rollback(index)
        case 15, 16: try await amend(index)
        case 17: try await finalize(index)
        default: try await reopen(afterSettling: Bool.random(using: &random))
        }
        for one in held {
            let found = try await one.stream.coverage()
            findings.expect(found, one.taken.segments, "coverage of \(one.id)")
        }
    }

    /// A range that the stream may be given next: behind a segment, above all, or in a gap.
    private mutating func range(_ index: Int) -> ClosedRange<UInt64> {
        let segments = held[index].taken.segments
        let count = UInt64.random(in: 0...6, using: &random)
        guard let last = segments.last else {
            let first = UInt64.random(in: 20...40, using: &random)
            return first...first + count
        }
        switch Int.random(in: 0..<10, using: &random) {
        case 0:
            let first = last.last.number + UInt64.random(in: 2...9, using: &random)
            return first...first + count
        case 1..<4 where subject.promises.takesBelow:
            // Somewhere below: in the first gap that has room.
            let below = segments[Int.random(in: 0..<segments.count, using: &random)].first
            let floor = segments.last { $0.last.number < below }.map { $0.last.number + 1 } ?? 2
            guard floor < below else { break }
            let end = Bool.random(using: &random) ? below - 1 : UInt64.random(in: floor..<below, using: &random)
            let first = max(floor, end - min(end, count))
            return first...end
        default: break
        }
        return last.last.number + 1...last.last.number + 1 + count
    }

    private mutating func write(_ index: Int) async throws {
        let range = range(index)
        let one = held[index]
        // Another branch now and then, above a gap too.
        let parent = one.taken.segments.contains { $0.last.number + 1 == range.lowerBound } ? one.forks[range.lowerBound - 1] ?? 0 : 0
        let fork = random.next() % 3 == 0 && !subject.promises.leavesStrays ? newFork() : parent
        log.append("write \(one.id) \(range) fork \(fork) on \(parent)")
        let batch = SmallChain.batch(range, fork: fork, parentFork: parent, chainID: one.id.chainID)
        let position = try await one.stream.write(batch)
        try held[index].taken.append(batch.span, stream: one.id)
        for number in range {
            held[index].forks[number] = fork
            held[index].rows[number] = SmallChain.batch(number...number, fork: fork, chainID: one.id.chainID)
        }
        if let position { findings.expect(one.taken.segments.isEmpty || position.number > 0, "a position without blocks") }
    }

    private mutating func newFork() -> UInt8 {
        defer { nextFork &+= 1 }
        return nextFork
    }

    /// Something that is not to be taken.
    private mutating func refused(_ index: Int) async throws {
        let one = held[index]
        guard let segment = one.taken.segments.randomElement(using: &random) else { return }
        let number = UInt64.random(in: segment.first...segment.last.number, using: &random)
        log.append("refuse \(one.id) \(number)")
        let batches = [
            SmallChain.batch(number...number + 3, chainID: one.id.chainID),
            SmallChain.batch(segment.last.number + 1...segment.last.number + 1, fork: 255, chainID: one.id.chainID),
        ]
        for batch in batches {
            await findings.expectRefusal(subject, "block \(batch.span.first)", code: .sinkOrder) { _ = try await one.stream.write(batch) }
        }
    }

    private mutating func settle(_ index: Int) async throws {
        log.append("settle \(held[index].id)")
        try await subject.settle(held[index].stream)
        held[index].durable = held[index].taken
        try await compare(index, held[index].taken)
    }

    private mutating func rollback(_ index: Int) async throws {
        guard subject.promises.undo == .all, let segment = held[index].taken.segments.randomElement(using: &random) else { return }
        let floor = max(segment.first - 1, held[index].finalized)
        guard floor < segment.last.number else { return }
        let number = UInt64.random(in: floor...segment.last.number, using: &random)
        let position = SmallChain.position(number, fork: held[index].forks[number] ?? 0)
        log.append("rollback \(held[index].id) to \(number)")
        try await held[index].stream.rollback(to: position)
        _ = held[index].taken.rollback(to: position)
        held[index].durable = Self.common(held[index].durable, held[index].taken)
    }

    private mutating func amend(_ index: Int) async throws {
        guard subject.promises.amends, let segment = held[index].taken.segments.randomElement(using: &random) else { return }
        let one = held[index]
        let number = UInt64.random(in: segment.first...segment.last.number, using: &random)
        let places = Set((0..<Int.random(in: 1...3, using: &random)).map { _ in UInt64.random(in: 0...4, using: &random) })
        let rows = places.filter { _ in Bool.random(using: &random) }
        let amendment = SmallChain.amendment(
            number, places: places, rows: rows, note: "n\(log.count)", fork: one.forks[number] ?? 0, chainID: one.id.chainID)
        log.append("amend \(one.id) \(number) at \(places.sorted()) with \(rows.sorted())")
        for _ in 0..<Int.random(in: 1...2, using: &random) { try await one.stream.amend([amendment]) }
        held[index].rows[number] = one.rows[number]?.amended(by: amendment)
    }

    private mutating func finalize(_ index: Int) async throws {
        guard let last = held[index].taken.segments.last?.last.number else { return }
        held[index].finalized = max(held[index].finalized, last - min(last, UInt64.random(in: 3...12, using: &random)))
        log.append("finalize \(held[index].id) \(held[index].finalized)")
        try await held[index].stream.finalized(held[index].finalized)
    }

    /// Another process: what it finds is what was durable at least and what was taken at most, with exactly its rows.
    private mutating func reopen(afterSettling settles: Bool) async throws {
        log.append("reopen\(settles ? " settled" : "")")
        if settles {
            for index in held.indices {
                _ = try await held[index].stream.finish()
                held[index].durable = held[index].taken
            }
        }
        await sink.close()
        sink = try await subject.sink()
        try await openAll()
        for index in held.indices {
            let found = Coverage(try await held[index].stream.coverage())
            findings.expect(Self.common(found, held[index].taken), found, "\(held[index].id) has more than was taken")
            findings.expect(
                Self.common(found, held[index].durable), held[index].durable,
                "\(held[index].id) has less than was durable, \(found.segments)")
            held[index].taken = found
            held[index].durable = found
            try await compare(index, found)
        }
    }

    // MARK: - Comparing

    /// The blocks that are in both; where only the last of a segment tells which, by their numbers.
    private static func common(_ one: Coverage, _ other: Coverage) -> Coverage {
        var all: [Segment] = []
        for a in one.segments {
            for b in other.segments where a.first <= b.last.number && b.first <= a.last.number {
                let last = a.last.number <= b.last.number ? a.last : b.last
                if a.last.number == b.last.number, a.last != b.last { continue }
                all.append(Segment(first: max(a.first, b.first), last: last))
            }
        }
        return Coverage(all)
    }

    private mutating func compare(_ index: Int, _ coverage: Coverage) async throws {
        guard subject.promises.undo == .all else { return }
        let one = held[index]
        let numbers = coverage.segments.flatMap { Array($0.first...$0.last.number) }
        for schema in SmallChain.schemas {
            let expected = numbers.compactMap { one.rows[$0]?.table(schema.name) }.flatMap(SinkRows.of)
            var found = try await subject.place.rows(schema, one.id)
            if subject.promises.leavesStrays {
                let counted = Set(numbers.map { "\($0)" })
                found = found.filter { $0[1].map(counted.contains) ?? true }
            }
            if let difference = SinkRows.difference(found, expected, inOrder: subject.promises.keepsOrder) {
                findings.expect(false, "\(schema.name) of \(one.id): \(difference)")
            }
        }
    }
}
