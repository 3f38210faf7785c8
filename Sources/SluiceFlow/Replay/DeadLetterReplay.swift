import SluiceCore
import SluiceStore

/// What a replay of dead letters needs of the runtime.
protocol DeadLetterReplay: Sendable {
    /// Reads blocks once more through the pipeline's oracle and pipes, into memory: nothing is loaded, no position moves. By number.
    func read(_ numbers: [UInt64]) async throws -> [UInt64: ReplayedBlock]
    /// Puts rows into blocks of every sink that has them, without moving its position. After a crash the same may come again.
    /// - Parameter sink: the only one that they are for; nil: all.
    func load(_ amendments: [Amendment], into sink: String?) async throws -> ReplayLoad
}

/// What became of rows that were to be loaded.
struct ReplayLoad: Sendable {
    /// How many sinks have each block, by number; none when it is not there.
    var sinks: [UInt64: Int] = [:]
    /// Rows that a sink refused, as its letters.
    var refused: [DeadLetter] = []
}

/// A block as the pipeline makes it now.
struct ReplayedBlock: Sendable {
    /// What all registers of the pipeline made, of this one block.
    let batch: Batch
    /// The rows that failed, as ever or anew.
    let deadLetters: [DeadLetter]
    /// The names of the tables that each register makes, by the register's name.
    let tables: [String: [String]]
    /// Registers that learnt something in the block that the pipeline does not know: later blocks were read without it.
    let taught: Set<String>

    init(batch: Batch, deadLetters: [DeadLetter], tables: [String: [String]], taught: Set<String> = []) {
        self.batch = batch
        self.deadLetters = deadLetters
        self.tables = tables
        self.taught = taught
    }
}

/// Replays dead letters of one pipeline: reads each block once, loads exactly the rows that were missing, and notes it.
struct DeadLetterReplayer: Sendable {
    private let journal: any StreamJournal
    private let stream: StreamID
    private let runtime: any DeadLetterReplay
    /// Blocks that are read and loaded in one go. A sink of files writes a file anew for each go.
    private let blocksAtOnce: Int

    init(journal: any StreamJournal, stream: StreamID, runtime: any DeadLetterReplay, blocksAtOnce: Int = 64) {
        self.journal = journal
        self.stream = stream
        self.runtime = runtime
        self.blocksAtOnce = blocksAtOnce
    }

    /// What came of each of the letters, by its id. What is done when an error ends it stays done.
    /// - Throws: what the runtime or the journal throws.
    func replay(_ records: [DeadLetterRecord]) async throws -> [Int64: ReplayOutcome] {
        var outcomes: [Int64: ReplayOutcome] = [:]
        let open = records.filter { $0.state == .open && $0.stream == stream }.sorted {
            ($0.letter.block.number, $0.id) < ($1.letter.block.number, $1.id)
        }
        var left = open[...]
        while !left.isEmpty {
            try Task.checkCancellation()
            var numbers: Set<UInt64> = []
            let group = left.prefix { record in
                numbers.insert(record.letter.block.number)
                return numbers.count <= blocksAtOnce
            }
            left = left.dropFirst(group.count)
            let results = try await replay(together: group)
            // The rows come first: when the note is lost, they come again and take their own place; the other way round they would be missing.
            try await journal.note(results)
            for result in results { outcomes[result.record.id] = result.outcome }
        }
        return outcomes
    }

    private func replay(together records: ArraySlice<DeadLetterRecord>) async throws -> [ReplayResult] {
        let blocks = try await runtime.read(Set(records.map(\.letter.block.number)).sorted())
        var results: [ReplayResult] = []
        var loading: [(record: DeadLetterRecord, rows: Int)] = []
        // Rows that a sink refused are missing there alone.
        var rows: [String?: AmendedRows] = [:]
        for record in records {
            guard let block = blocks[record.letter.block.number] else { continue }
            switch Self.plan(record.letter, block) {
            case .load(let place, let tables):
                let sink = RefusedName(record.letter.row)?.sink
                for table in tables { rows[sink, default: AmendedRows()].add(table, at: place, of: block.batch) }
                loading.append((record, tables.reduce(0) { $0 + $1.rowCount }))
            case .fails(let again):
                results.append(ReplayResult(record, .failed(reason: again.reason, message: again.message), failure: again))
            case .useless(let outcome): results.append(ReplayResult(record, outcome))
            }
        }
        var loads: [String?: ReplayLoad] = [:]
        for (sink, rows) in rows { loads[sink] = try await runtime.load(rows.amendments, into: sink) }
        let refused = loads.values.flatMap(\.refused)
        var answered: Set<DeadLetter> = []
        for (record, count) in loading {
            let (letter, sink) = (record.letter, RefusedName(record.letter.row)?.sink)
            if let again = refused.first(where: { $0.names(the: letter) }) {
                answered.insert(again)
                results.append(ReplayResult(record, .failed(reason: again.reason, message: again.message), failure: again))
                continue
            }
            let isTouched = rows[sink]?.blocks.contains(letter.block.number) ?? false
            let isNowhere = loads[sink]?.sinks[letter.block.number] ?? 0 == 0
            results.append(ReplayResult(record, isTouched && isNowhere ? .awaited : .loaded(rows: count)))
        }
        // What a component can process by now a sink may refuse.
        try await journal.keep(refused.filter { !answered.contains($0) }, of: stream)
        return results
    }

    private enum Plan {
        case load(DeadLetterRows.Place, [Table])
        case fails(DeadLetter)
        case useless(ReplayOutcome)
    }

    private static func plan(_ letter: DeadLetter, _ block: ReplayedBlock) -> Plan {
        guard block.batch.span.last == letter.block else { return .useless(.orphaned) }
        if let again = block.deadLetters.first(where: { $0.register == letter.register && $0.row == letter.row }) { return .fails(again) }
        guard let tables = block.tables[letter.register] else {
            return .useless(.impossible("the pipeline does not make \(letter.register) any more"))
        }
        if block.taught.contains(letter.register) {
            return .useless(
                .impossible(
                    "\(letter.register) learns from its block what later blocks were read without, and lacks their rows as well: "
                        + "they come with a backfill into an empty sink"))
        }
        do {
            let found = try DeadLetterRows.rowsToLoad(letter, block.batch, tables: tables)
            return .load(found.place, found.tables)
        } catch { return .useless(.impossible(error.description)) }
    }
}

/// Rows of several letters, put together by block, table and column.
private struct AmendedRows {
    private struct Key: Hashable {
        let block: BlockRef
        let table: String
        let column: String
    }

    private struct Part {
        let timestamp: UInt64
        let chainID: UInt64
        var tables: [UInt64: Table] = [:]
    }

    private var parts: [Key: Part] = [:]

    /// The rows that a table has at a place. Two registers that make one table name them twice: they are the same.
    mutating func add(_ table: Table, at place: DeadLetterRows.Place, of batch: Batch) {
        let key = Key(block: batch.span.last, table: table.schema.name, column: place.column)
        parts[key, default: Part(timestamp: batch.span.lastTimestamp, chainID: batch.chainID)].tables[place.number] = table
    }

    /// Of which there are rows.
    var blocks: Set<UInt64> { Set(parts.keys.lazy.map(\.block.number)) }

    /// In the order of blocks and tables.
    var amendments: [Amendment] {
        parts.sorted { ($0.key.block.number, $0.key.table, $0.key.column) < ($1.key.block.number, $1.key.table, $1.key.column) }
            .map { key, part in
                Amendment(
                    chainID: part.chainID, block: key.block, timestamp: part.timestamp, column: key.column, places: Set(part.tables.keys),
                    rows: .concatenated(part.tables.sorted { $0.key < $1.key }.map(\.value)))
            }
    }
}

extension DeadLetter {
    /// Whether it is of the same row.
    fileprivate func names(the other: DeadLetter) -> Bool { register == other.register && row == other.row && block == other.block }
}
