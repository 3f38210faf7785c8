import SluiceCatalog
import SluiceCommand
import SluiceConfig
import SluiceCore

extension Command {
    private static let sink = Option("--sink", "NAME", "only this sink")

    static let migratePlan = Command(
        name: "migrate plan", summary: "say which tables a sink lacks: the statements, and what its server makes of them",
        usage: "[-c FILE] [--sink NAME] [--json]", options: [.config, sink, .json],
        examples: ["sluice migrate plan -c sluice.yaml", "sluice migrate plan -c sluice.yaml --sink warehouse --json"]
    ) { arguments in
        try await Migrations(arguments).look {
            $0.planLines($1)
        } json: {
            $0.json($1, withStatements: true)
        } check: { report in
            try report.plan.requireUsable(report.place)
            for migration in report.plan.pending { _ = try report.view.scripts[migration.number]?.get() }
        }
    }

    static let migrateApply = Command(
        name: "migrate apply", summary: "make the tables that sinks lack, a numbered step at a time",
        usage: "[-c FILE] [--sink NAME] [--json]", options: [.config, sink, .json],
        examples: ["sluice migrate apply -c sluice.yaml", "sluice migrate apply -c sluice.yaml --sink warehouse"]
    ) { arguments in
        try await Migrations(arguments).apply()
    }

    static let migrateStatus = Command(
        name: "migrate status", summary: "list the numbered steps of each sink, and when they were applied",
        usage: "[-c FILE] [--sink NAME] [--json]", options: [.config, sink, .json], examples: ["sluice migrate status -c sluice.yaml"]
    ) { arguments in
        try await Migrations(arguments).look {
            $0.statusLines($1)
        } json: {
            $0.json($1, withStatements: false)
        } check: { _ in
        }
    }
}

/// What the three commands have in common: every sink by itself, so that one that cannot be reached does not hold up the others.
private struct Migrations {
    private let sinks: [SinkSettings]
    private let isJSON: Bool

    init(_ arguments: Arguments) throws {
        let configuration = try SluiceConfiguration.load(path: arguments.config, catalog: Catalog.configuration)
        isJSON = arguments.has("--json")
        guard let name = arguments.string("--sink") else {
            sinks = configuration.sinks
            return
        }
        guard let sink = configuration.sinks.first(where: { $0.name == name }) else {
            throw UsageError(
                "no sink is called \(name)", suggestion: Spelling.nearest(to: name, in: configuration.sinks.map(\.name)))
        }
        sinks = [sink]
    }

    /// Shows every sink, then says what is wrong with those that are not as they should be; the exit code is that of the first.
    func look(
        _ lines: (MigrationReport, Style) -> [String], json: (MigrationReport, String) -> JSON, check: (MigrationReport) throws -> Void
    ) async throws -> ExitCode {
        var found: [JSON] = []
        var code = ExitCode.success
        for sink in sinks {
            guard let migrator = Catalog.sink(sink.type)?.migrator?(sink.options) else {
                isJSON ? found.append(none(sink)) : Output.line(noneLine(sink))
                continue
            }
            do {
                let report = MigrationReport(sink: sink.name, type: sink.type, migrator: migrator, view: try await migrator.look())
                isJSON ? found.append(json(report, sink.name)) : Output.line(lines(report, Output.outputStyle).joined(separator: "\n"))
                try check(report)
            } catch { note(error, sink, &code) }
            await migrator.close()
        }
        if isJSON { Output.line(JSON.members(["sinks": .array(found)]).pretty()) }
        return code
    }

    func apply() async throws -> ExitCode {
        var found: [JSON] = []
        var code = ExitCode.success
        for sink in sinks {
            guard let migrator = Catalog.sink(sink.type)?.migrator?(sink.options) else {
                isJSON ? found.append(none(sink)) : Output.line(noneLine(sink))
                continue
            }
            var done: [Migration] = []
            do {
                try await migrator.applyPending { migration in
                    done.append(migration)
                    if !isJSON { Output.line("sink \(Visible.safe(sink.name)): applied \(migration.number) \(migration.name)") }
                }
                if done.isEmpty, !isJSON { Output.line("sink \(Visible.safe(sink.name)): nothing to apply") }
            } catch { note(error, sink, &code) }
            found.append(
                .members([
                    "sink": .string(sink.name), "type": .string(sink.type),
                    "applied": .array(done.map { .members(["number": .integer($0.number), "name": .string($0.name)]) }),
                ]))
            await migrator.close()
        }
        if isJSON { Output.line(JSON.members(["sinks": .array(found)]).pretty()) }
        return code
    }

    private func noneLine(_ sink: SinkSettings) -> String {
        "sink \(Visible.safe(sink.name)): \(sink.type) has no migrations; its tables are made when it is opened"
    }

    private func none(_ sink: SinkSettings) -> JSON {
        .members(["sink": .string(sink.name), "type": .string(sink.type), "migrations": .null])
    }

    private func note(_ error: any Error, _ sink: SinkSettings, _ code: inout ExitCode) {
        let error = error as? SluiceError ?? SluiceError(SluiceError.Code("unexpected"), .fatal, "\(error)")
        Output.problem(
            "error[\(error.code.rawValue)]: sink \(Visible.safe(sink.name)): \(Visible.safe(error.message))"
                + (error.mend.map { "\n  help: \($0)" } ?? ""))
        if code == .success { code = ExitCode(error) }
    }
}

/// How it stands with one sink.
private struct MigrationReport {
    let sink: String
    let type: String
    let place: String
    let view: MigrationView
    let plan: MigrationPlan

    init(sink: String, type: String, migrator: any Migrator, view: MigrationView) {
        self.sink = sink
        self.type = type
        self.view = view
        place = migrator.place
        plan = migrator.plan(view)
    }

    private func head(_ style: Style) -> String {
        style.bold("sink \(Visible.safe(sink))") + ": \(Visible.safe(place)), \(Visible.safe(view.server))"
    }

    /// Each step with its state; of those that are pending the statements.
    func planLines(_ style: Style) -> [String] {
        var lines = [head(style)]
        for entry in plan.entries {
            let since = entry.state.applied.map { " \(Visible.safe($0.at)) by version \(Visible.safe($0.by))" } ?? ""
            lines.append("  \(entry.number) \(Visible.safe(entry.name)): \(entry.state.word)\(since)")
            guard entry.state == .pending, let script = view.scripts[entry.number] else { continue }
            switch script {
            case .success(let script):
                lines += script.notes.map { style.dim("    -- \(Visible.safe($0))") }
                lines += script.statements.flatMap {
                    ($0 + ";").split(whereSeparator: \.isNewline).map { "    \(Visible.safe(String($0)))" }
                }
            case .failure(let error): lines.append("    cannot be applied: \(Visible.safe(error.message))")
            }
        }
        if plan.pending.isEmpty, plan.isUsable { lines.append("  nothing to apply") }
        return lines
    }

    func statusLines(_ style: Style) -> [String] {
        var table = TextTable(["number", "name", "state", "when", "by", "server"], right: [0])
        for entry in plan.entries {
            let row = entry.state.applied
            table.add([
                "\(entry.number)", Visible.safe(entry.name), entry.state.word, Visible.safe(row?.at ?? "-"), Visible.safe(row?.by ?? "-"),
                Visible.safe(row?.server ?? "-"),
            ])
        }
        return [head(style)] + table.lines(indent: "  ", style: style)
    }

    func json(_ name: String, withStatements: Bool) -> JSON {
        .members([
            "sink": .string(name), "type": .string(type), "place": .string(place), "server": .string(view.server),
            "migrations": .array(plan.entries.map { json($0, withStatements: withStatements) }),
        ])
    }

    private func json(_ entry: MigrationPlan.Entry, withStatements: Bool) -> JSON {
        let row = entry.state.applied
        var members = [
            JSON.Member("number", .integer(entry.number)), JSON.Member("name", .string(entry.name)),
            JSON.Member("set", .text(entry.migration?.set)), JSON.Member("state", .string(entry.state.word)),
            JSON.Member("checksum", .text(entry.migration?.checksum)), JSON.Member("applied_checksum", .text(row?.checksum)),
            JSON.Member("applied_at", .text(row?.at)), JSON.Member("applied_by", .text(row?.by)),
            JSON.Member("applied_server", .text(row?.server)),
        ]
        if withStatements, entry.state == .pending, case .success(let script)? = view.scripts[entry.number] {
            members.append(JSON.Member("notes", .array(script.notes.map { .string($0) })))
            members.append(JSON.Member("statements", .array(script.statements.map { .string($0) })))
        }
        return .object(members)
    }
}
