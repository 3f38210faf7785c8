import SluiceCore
import Testing

@testable import SluiceFlow

/// Every command in every phase, against a table that was written by hand.
@Suite struct LifecycleTableTests {
    private static let failure = SluiceError(.init("test"), .pause, "the sink is full")
    private static let other = pipeline(1)
    private static let third = pipeline(2)

    private static func pipeline(_ seed: UInt64) -> PUUID {
        var random = SeededRandom(seed: seed)
        let block = ComponentPID(network: .layer1, pipelineType: .live, kind: .oracle, register: .gethBlock)
        return PUUID(PipelinePID(type: .live, first: block, last: block), using: &random)
    }

    static let commands: [(name: String, command: PipelineCommand)] = [
        ("start+", .start(hasHistory: true)), ("start-", .start(hasHistory: false)), ("pause", .pause), ("resume", .resume),
        ("stop", .stop), ("restart+", .restart(hasHistory: true)), ("restart-", .restart(hasHistory: false)),
        ("done", .backfillDone), ("fail", .fail(failure)), ("merged", .merged(into: other)), ("merged3", .merged(into: third)),
    ]

    static let phases: [(name: String, phase: PipelineLifecycle.Phase)] = [
        ("new", .new), ("backfill", .working(.backfill)), ("live", .working(.live)), ("paused/b", .paused(.backfill)),
        ("paused/l", .paused(.live)), ("stopped", .stopped), ("error/b", .failed(.backfill, failure)), ("error/l", .failed(.live, failure)),
        ("merged", .merged(into: other)),
    ]

    static func name(_ phase: PipelineLifecycle.Phase) -> String {
        switch phase {
        case .new: "new"
        case .working(.backfill): "backfill"
        case .working(.live): "live"
        case .paused(.backfill): "paused/b"
        case .paused(.live): "paused/l"
        case .stopped: "stopped"
        case .failed(.backfill, _): "error/b"
        case .failed(.live, _): "error/l"
        case .merged: "merged"
        }
    }

    /// A phase it leads to, `=` for fulfilled already, `x` for refused.
    private static let liveTable = """
                   start+    start-  pause     resume    stop     restart+  restart-  done  fail     merged  merged3
        new        backfill  live    x         x         =        backfill  live      x     x        x       x
        backfill   =         =       paused/b  =         stopped  backfill  live      live  error/b  x       x
        live       =         =       paused/l  =         stopped  backfill  live      =     error/l  merged  merged
        paused/b   x         x       =         backfill  stopped  backfill  live      x     error/b  x       x
        paused/l   x         x       =         live      stopped  backfill  live      x     error/l  x       x
        stopped    x         x       x         x         =        backfill  live      x     x        x       x
        error/b    x         x       x         backfill  stopped  backfill  live      x     =        x       x
        error/l    x         x       x         live      stopped  backfill  live      x     =        x       x
        merged     x         x       x         x         =        x         x         x     x        =       x
        """

    /// The table of a type: backtests end with their range and are never live, and only live pipelines are merged.
    static func table(_ type: PipelineType) -> [String: [String: String]] {
        let lines = liveTable.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        var table: [String: [String: String]] = [:]
        for line in lines.dropFirst() { table[line[0]] = Dictionary(uniqueKeysWithValues: zip(lines[0], line.dropFirst())) }
        if type != .live { for name in ["merged", "merged3"] { table["live"]?[name] = "x" } }
        if type == .backtest {
            for row in table.keys {
                for name in ["start-", "restart-"] where table[row]?[name] == "live" { table[row]?[name] = "backfill" }
            }
            table["backfill"]?["done"] = "stopped"
        }
        return table
    }

    @Test(
        "every command in every phase does what the table says, and a refusal changes nothing and says why and what is allowed",
        arguments: PipelineType.named)
    func table(type: PipelineType) throws {
        let table = Self.table(type)
        #expect(table.count == Self.phases.count)
        for (row, phase) in Self.phases {
            let expected = try #require(table[row])
            #expect(expected.count == Self.commands.count)
            // What an operator can do is what leads to something, which the table says, too.
            let allowed = Self.commands.filter { !["=", "x"].contains(expected[$0.name]) }.map(\.command.name.rawValue)
            let operators = ["start", "pause", "resume", "stop", "restart"].filter { allowed.contains($0) }
            for (column, command) in Self.commands {
                var lifecycle = PipelineLifecycle(type: type, phase: phase)
                #expect(Self.name(lifecycle.phase) == row)
                #expect(lifecycle.commands.map(\.rawValue) == operators)
                do {
                    let actions = try lifecycle.on(command)
                    let found = Self.name(lifecycle.phase)
                    let wanted = expected[column]
                    #expect(wanted == (actions.isEmpty && found == row ? "=" : found), "\(type): \(row), \(column)")
                } catch {
                    #expect(expected[column] == "x", "\(type): \(row), \(column)")
                    #expect(Self.name(lifecycle.phase) == row)
                    #expect(error.code == .illegalTransition && error.class == .config)
                    #expect(error.message.hasPrefix("the pipeline is \(lifecycle.state.rawValue), \(command.name.rawValue) is refused: "))
                    #expect(
                        error.mend
                            == (operators.isEmpty
                                ? "nothing can be done with it any more" : "allowed now: \(operators.joined(separator: ", "))"))
                }
            }
        }
    }

    /// All sequences of commands up to a length, one step at a time: what is wrong, in words.
    private func walk(
        _ lifecycle: PipelineLifecycle, _ row: String, _ table: [String: [String: String]], _ depth: Int, _ count: inout Int,
        _ wrong: inout [String], isRunning: Bool
    ) {
        guard depth > 0, wrong.count < 10 else { return }
        // One merge is enough here: into which other pipeline makes no difference to where it leads.
        for (column, command) in Self.commands where column != "merged3" {
            count += 1
            var next = lifecycle
            var nextRow = row
            var runs = isRunning
            do {
                for action in try next.on(command) {
                    switch action {
                    case .begin: runs = true
                    case .end:
                        if !runs { wrong.append("\(row), \(column): ends what does not run") }
                        runs = false
                    case .handOver: if runs { wrong.append("\(row), \(column): hands over what runs") }
                    }
                }
                nextRow = Self.name(next.phase)
                let wanted = table[row]?[column] ?? ""
                if wanted != nextRow, !(wanted == "=" && nextRow == row) { wrong.append("\(row), \(column): \(nextRow), not \(wanted)") }
            } catch {
                if table[row]?[column] != "x" { wrong.append("\(row), \(column): refused") }
                if Self.name(next.phase) != row { wrong.append("\(row), \(column): refused and changed") }
            }
            // What runs is what the state says, and each state remembers what belongs to it.
            if runs != (next.work != nil) || runs != [.backfill, .live].contains(next.state) { wrong.append("\(nextRow): runs \(runs)") }
            if (next.failure != nil) != (next.state == .error) { wrong.append("\(nextRow): failure") }
            walk(next, nextRow, table, depth - 1, &count, &wrong, isRunning: runs)
        }
    }

    @Test(
        "no sequence of up to six commands leads anywhere else (of a backtest: up to five)",
        arguments: [(PipelineType.live, 6, 1_111_110), (.backtest, 5, 111_110)])
    func sequences(type: PipelineType, length: Int, expected: Int) {
        var count = 0
        var wrong: [String] = []
        walk(PipelineLifecycle(type: type), "new", Self.table(type), length, &count, &wrong, isRunning: false)
        #expect(wrong.isEmpty, "\(wrong)")
        #expect(count == expected)
    }
}
