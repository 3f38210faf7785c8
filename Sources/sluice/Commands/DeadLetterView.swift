import SluiceCommand
import SluiceCore
import SluiceDuckDB
import SluiceFlow
import SluiceStore

/// One dead letter for people and for programs.
struct DeadLetterView {
    let record: DeadLetterRecord
    /// What came of its last replay, where that is asked for.
    var replay: ReplayOutcome?

    /// Seconds are enough for people.
    static func time(_ micros: Int64) -> String { Calendar.timestamp(micros - ((micros % 1_000_000) + 1_000_000) % 1_000_000) + "Z" }

    /// What has become of it, and whether somebody asked for more.
    var state: String { record.state.rawValue + (record.replayWanted == nil ? "" : ", to be replayed") }

    func json(payload: Bool) -> JSON {
        var members: KeyValuePairs<String, JSON> {
            [
                "id": .integer(record.id), "pipeline": .string(record.stream.pipeline), "chain_id": .integer(record.stream.chainID),
                "block": .integer(record.letter.block.number), "block_hash": .string(record.letter.block.hash.description),
                "register": .string(record.letter.register), "row": .string(record.letter.row), "reason": .string(record.letter.reason),
                "message": .string(record.letter.message), "tries": .integer(record.tries), "state": .string(record.state.rawValue),
                "first_seen": .string(Self.time(record.firstSeen)), "last_seen": .string(Self.time(record.lastSeen)),
                "replay_wanted": .text(record.replayWanted.map(Self.time)),
            ]
        }
        // As text: what a row held need not be JSON.
        return .object(
            members.map { JSON.Member($0.key, $0.value) }
                + (payload
                    ? [JSON.Member("payload", .string(record.letter.payload)), JSON.Member("last_replay", .text(replay?.name))] : []))
    }

    func lines(_ style: Style) -> [String] {
        let letter = record.letter
        var lines = ["\(style.bold("dead letter \(record.id)"))  \(state)"]
        let facts =
            [
                ("pipeline", "\(record.stream.pipeline) (chain \(record.stream.chainID))"),
                ("block", "\(Amount.grouped(letter.block.number)) \(letter.block.hash)"), ("register", letter.register),
                ("row", letter.row),
                ("reason", letter.reason), ("message", letter.message), ("tries", Amount.grouped(record.tries)),
                ("first seen", Self.time(record.firstSeen)), ("last seen", Self.time(record.lastSeen)),
            ] + (replay.map { [("replay", [$0.name, $0.reason, $0.message].compactMap { $0 }.joined(separator: ": "))] } ?? [])
        for (name, value) in facts { lines.append("  " + Help.padded(name, 10) + "  " + Visible.safe(value)) }
        lines.append("  payload")
        return lines + [JSON.indented(letter.payload, indent: "    ") ?? "    " + Visible.safe(letter.payload)]
    }
}

/// What `sluice dlq list` shows.
struct DeadLetterPage {
    let letters: [DeadLetterRecord]
    /// Of all that were asked for, not only of those shown.
    let counts: [DeadLetterCount]
    let hasMore: Bool
    /// What was asked for.
    let state: String

    private var total: Int { counts.reduce(0) { $0 + $1.count } }

    var json: JSON {
        .members([
            "dead_letters": .array(letters.map { DeadLetterView(record: $0).json(payload: false) }),
            "counts": .array(
                counts.map {
                    .members([
                        "pipeline": .string($0.pipeline), "reason": .string($0.reason), "state": .string($0.state.rawValue),
                        "count": .integer($0.count),
                    ])
                }),
            "total": .integer(total), "next": .integer(hasMore ? letters.last?.id : nil),
        ])
    }

    func lines(_ style: Style) -> [String] {
        let kind = state == "all" ? "" : "\(state) "
        guard total > 0 else { return ["no \(kind)dead letters"] }
        // What is in every line alike is not worth a column.
        let showsState = state == "all" || letters.contains { $0.replayWanted != nil }
        var table = TextTable(
            ["id", "pipeline", "block", "register", "row", "reason", "tries", "first seen"] + (showsState ? ["state"] : []),
            right: [0, 2, 6])
        for record in letters {
            let letter = record.letter
            func shown(_ text: String) -> String { Visible.cut(Visible.safe(text), 40) }
            let view = DeadLetterView(record: record)
            table.add(
                [
                    String(record.id), shown(record.stream.pipeline), Amount.grouped(letter.block.number), shown(letter.register),
                    shown(letter.row), shown(letter.reason), Amount.grouped(record.tries), DeadLetterView.time(record.firstSeen),
                ] + (showsState ? [view.state] : []))
        }
        var reasons: [String: Int] = [:]
        for count in counts { reasons[count.reason, default: 0] += count.count }
        // The most frequent first.
        let parts = reasons.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            .map { "\(Visible.cut(Visible.safe($0.key), 40)) \(Amount.grouped($0.value))" }
        var lines = table.isEmpty ? [] : table.lines(style: style) + [""]
        lines.append("\(Amount.grouped(total)) \(kind)dead letter\(total == 1 ? "" : "s"): \(parts.joined(separator: ", "))")
        if hasMore, let last = letters.last { lines.append("\(Amount.grouped(letters.count)) are shown; --after \(last.id) shows more") }
        return lines
    }
}

/// What `sluice dlq replay` shows.
struct ReplayReport {
    var outcomes: [Int64: ReplayOutcome] = [:]

    private var sorted: [(id: Int64, outcome: ReplayOutcome)] { outcomes.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } }

    var isEmpty: Bool { outcomes.isEmpty }

    /// Whether nothing is left to be done about any of them.
    var isComplete: Bool { outcomes.values.allSatisfy(\.isDone) }

    var lines: [String] {
        sorted.map { id, outcome in
            switch outcome {
            case .loaded(let rows): "\(id): loaded, \(Amount.count(UInt64(rows), "row"))"
            case .awaited: "\(id): no sink holds its block yet; its rows come with the block"
            case .failed(let reason, let message): "\(id): failed again, \(Visible.safe(reason)): \(Visible.safe(message))"
            case .orphaned: "\(id): its block is not on the chain any more; sluice dlq drop \(id) gives it up if it is still listed"
            case .impossible(let words): "\(id): cannot be replayed: \(Visible.safe(words))"
            }
        }
    }

    var json: JSON {
        .members([
            "replayed": .array(
                sorted.map { id, outcome in
                    .members([
                        "id": .integer(id), "outcome": .string(outcome.name), "rows": .integer(outcome.rows),
                        "reason": .text(outcome.reason),
                        "message": .text(outcome.message),
                    ])
                })
        ])
    }
}
