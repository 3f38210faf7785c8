import SluiceCatalog
import SluiceCommand
import SluiceConfig
import SluiceCore
import SluiceFlow
import SluiceStore

extension Command {
    private static let pipeline = Option("--pipeline", "P", "only those of this pipeline")
    private static let reason = Option("--reason", "R", "only those with this reason, such as abi_malformed")

    static let deadLetterList = Command(
        name: "dlq list", summary: "list the rows that could not be processed",
        usage: "[-c FILE] [--pipeline P] [--reason R] [--state STATE] [--limit N] [--after ID] [--json]",
        options: [
            .config, pipeline, reason, Option("--state", "STATE", "open, replayed, dropped or all (default: open)"),
            Option("--limit", "N", "so many at most (default: 50)"), Option("--after", "ID", "those that came behind this one"), .json,
        ],
        examples: ["sluice dlq list -c sluice.yaml", "sluice dlq list -c sluice.yaml --pipeline transfers --reason abi_malformed"]
    ) { arguments in
        let state = try arguments.choice("--state", DeadLetterRecord.State.allCases.map(\.rawValue) + ["all"]) ?? "open"
        // More than anybody reads, and no number that one more would be too many for.
        let limit = Int(min(try arguments.number("--limit") ?? 50, 1_000_000))
        let after = try arguments.number("--after") ?? 0
        return try await DeadLetters.reading(arguments) { configuration, store in
            var filter = try await DeadLetters.filter(arguments, configuration, store)
            filter.state = DeadLetterRecord.State(rawValue: state)
            let counts = try await store.deadLetterCounts(filter)
            // One more than is shown says whether there are more.
            let found = try await store.deadLetters(filter, after: Int64(clamping: after), limit: limit + 1)
            let page = DeadLetterPage(
                letters: Array(found.prefix(limit)), counts: counts, hasMore: found.count > limit, state: state)
            Output.line(arguments.has("--json") ? page.json.pretty() : page.lines(Output.outputStyle).joined(separator: "\n"))
            return .success
        }
    }

    static let deadLetterShow = Command(
        name: "dlq show", summary: "show all of one dead letter, with what the row held", usage: "[-c FILE] ID [--json]",
        options: [.config, .json], operands: 1...1, examples: ["sluice dlq show -c sluice.yaml 17"]
    ) { arguments in
        let id = try DeadLetters.ids(arguments)[0]
        return try await DeadLetters.reading(arguments) { _, store in
            guard let record = try await store.deadLetter(id) else { throw DeadLetters.unknown(id) }
            let view = DeadLetterView(record: record, replay: try await store.replayOutcome(of: id))
            Output.line(
                arguments.has("--json") ? view.json(payload: true).pretty() : view.lines(Output.outputStyle).joined(separator: "\n"))
            return .success
        }
    }

    static let deadLetterReplay = Command(
        name: "dlq replay", summary: "read the blocks of dead letters again and load the rows that were missing",
        usage: "[-c FILE] ID... | --pipeline P [--reason R] [--wait DURATION] [--json]",
        options: [
            .config, pipeline, reason,
            Option("--wait", "DURATION", "how long to wait for a sluice run beside it that does not get on (default: 60s)"), .json,
            .logLevel,
        ], operands: 0...1000,
        examples: [
            "sluice dlq replay -c sluice.yaml 17 18", "sluice dlq replay -c sluice.yaml --pipeline transfers --reason abi_malformed",
        ]
    ) { arguments in
        let ids = try DeadLetters.ids(arguments)
        try DeadLetters.checkChoice(arguments, ids, isAll: arguments.string("--pipeline") != nil, all: "--pipeline P")
        let patience = try arguments.duration("--wait") ?? .seconds(60)
        let log = try Logging.log(arguments)
        return try await DeadLetters.changing(arguments) { configuration, store in
            let filter = try await DeadLetters.filter(arguments, configuration, store)
            let since = StateStore.systemClock()
            // Noted before anything is tried, so that a replay that is interrupted is not forgotten. Which these are is known by that alone: a
            // process that runs pipelines may be done with the first by the time one could ask.
            let marked = ids.isEmpty ? try await store.wantReplay(matching: filter) : try await store.wantReplay(of: ids)
            guard !marked.isEmpty else {
                Output.line(arguments.has("--json") ? ReplayReport().json.pretty() : "there is nothing to replay")
                return .success
            }
            let replay = ReplaySession(configuration: configuration, store: store, log: log, since: since, patience: patience)
            let (report, failure) = await replay.run(Set(marked))
            if !report.isEmpty { Output.line(arguments.has("--json") ? report.json.pretty() : report.lines.joined(separator: "\n")) }
            if let failure { throw failure }
            return report.isComplete ? .success : .data
        }
    }

    static let deadLetterDrop = Command(
        name: "dlq drop", summary: "give up dead letters: they are not listed any more and make room for others",
        usage: "[-c FILE] ID... | --all --pipeline P [--reason R] --yes [--json]",
        options: [
            .config, Option("--all", nil, "all open ones of the pipeline"), pipeline, reason,
            Option("--yes", nil, "do it without asking, which --all needs"), .json,
        ], operands: 0...1000,
        examples: ["sluice dlq drop -c sluice.yaml 17 18", "sluice dlq drop -c sluice.yaml --all --pipeline transfers --yes"]
    ) { arguments in
        let ids = try DeadLetters.ids(arguments)
        let isAll = arguments.has("--all")
        try DeadLetters.checkChoice(arguments, ids, isAll: isAll, all: "--all --pipeline P")
        if isAll, arguments.string("--pipeline") == nil { throw UsageError("dlq drop: --all needs --pipeline") }
        return try await DeadLetters.changing(arguments) { configuration, store in
            let filter = try await DeadLetters.filter(arguments, configuration, store)
            if isAll, !arguments.has("--yes") {
                var open = filter
                open.state = .open
                let count = try await store.deadLetterCounts(open).reduce(0) { $0 + $1.count }
                throw UsageError(
                    "dlq drop: --all would give up \(Amount.count(UInt64(count), "open dead letter")) of \(filter.pipeline ?? ""); nothing was dropped",
                    help: "the same command with --yes does it")
            }
            let count = isAll ? try await store.dropDeadLetters(matching: filter) : try await store.dropDeadLetters(ids)
            if arguments.has("--json") {
                Output.line(JSON.members(["dropped": .integer(count)]).pretty())
            } else {
                let rest = ids.isEmpty || ids.count == count ? "" : "; \(Amount.grouped(ids.count - count)) of those named were not open"
                Output.line("dropped \(Amount.count(UInt64(count), "dead letter"))\(rest)")
            }
            return .success
        }
    }
}

/// What the commands on dead letters have in common.
private enum DeadLetters {
    static func reading(
        _ arguments: Arguments, _ body: (SluiceConfiguration, StateStore) async throws -> ExitCode
    ) async throws -> ExitCode {
        let configuration = try SluiceConfiguration.load(path: arguments.config, catalog: Catalog.configuration)
        return try await using(try await StateStore.openReadOnly(configuration.state), configuration, body)
    }

    /// Also while `sluice run` works on the same state file.
    static func changing(
        _ arguments: Arguments, _ body: (SluiceConfiguration, StateStore) async throws -> ExitCode
    ) async throws -> ExitCode {
        let configuration = try SluiceConfiguration.load(path: arguments.config, catalog: Catalog.configuration)
        return try await using(try await StateStore.openBeside(configuration.state), configuration, body)
    }

    private static func using(
        _ store: StateStore, _ configuration: SluiceConfiguration, _ body: (SluiceConfiguration, StateStore) async throws -> ExitCode
    ) async throws -> ExitCode {
        do {
            let code = try await body(configuration, store)
            await store.close()
            return code
        } catch {
            await store.close()
            throw error
        }
    }

    /// The numbers that were given, each once.
    static func ids(_ arguments: Arguments) throws -> [Int64] {
        var ids: [Int64] = []
        for text in arguments.operands {
            guard let id = Int64(text), id > 0 else {
                throw UsageError("\(text) is no number of a dead letter", help: "sluice dlq list shows the numbers")
            }
            if !ids.contains(id) { ids.append(id) }
        }
        return ids
    }

    /// Either numbers, or all: never both, never nothing.
    static func checkChoice(_ arguments: Arguments, _ ids: [Int64], isAll: Bool, all: String) throws {
        let others = ["--all", "--pipeline", "--reason"].filter { arguments.has($0) || arguments.string($0) != nil }
        if !ids.isEmpty {
            guard let other = others.first else { return }
            throw UsageError("numbers of dead letters and \(other) do not go together")
        }
        guard isAll else {
            throw UsageError("which dead letters? give their numbers, or \(all)", help: "sluice dlq list shows the numbers")
        }
    }

    /// - Throws: `UsageError` when the pipeline is neither configured nor has letters: a misspelt name must not look like a good answer.
    static func filter(_ arguments: Arguments, _ configuration: SluiceConfiguration, _ store: StateStore) async throws -> DeadLetterFilter {
        let filter = DeadLetterFilter(pipeline: arguments.string("--pipeline"), reason: arguments.string("--reason"))
        guard let name = filter.pipeline else { return filter }
        let known = configuration.pipelines.map(\.name)
        if !known.contains(name), try await store.deadLetterCounts(DeadLetterFilter(pipeline: name)).isEmpty {
            throw UsageError("no pipeline is called \(name)", suggestion: Spelling.nearest(to: name, in: known))
        }
        return filter
    }

    static func unknown(_ id: Int64) -> SluiceError {
        SluiceError(
            .deadLetterUnknown, .config, "there is no dead letter \(id)",
            mend: "sluice dlq list shows those that are open; those of orphaned blocks go with them")
    }
}
