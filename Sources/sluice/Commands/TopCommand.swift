import Glibc
import SluiceCatalog
import SluiceCommand
import SluiceConfig
import SluiceCore
import SluiceFlow
import SluiceStore

extension Command {
    static let top = Command(
        name: "top", summary: "watch all pipelines, a line each, also while sluice run works", usage: "[-c FILE] [--once [--json]]",
        options: [.config, Option("--once", nil, "print how they are now, and end"), .json],
        examples: ["sluice top -c sluice.yaml", "sluice top -c sluice.yaml --once --json"]
    ) { arguments in
        let configuration = try SluiceConfiguration.load(path: arguments.config, catalog: Catalog.configuration)
        var sampling = TopSampling(configuration: configuration)
        if arguments.has("--once") {
            let rows = try await sampling.rows()
            if arguments.has("--json") {
                Output.line(JSON.members(["pipelines": .array(rows.map(\.json))]).pretty())
            } else {
                // Scripts get every line whole.
                let width = Output.isOutputTerminal ? Output.width : 1000
                let view = TopView(width: width, height: .max, style: Output.outputStyle)
                Output.line(view.lines(rows, title: arguments.config, hint: nil).joined(separator: "\n"))
            }
            return .success
        }
        guard !arguments.has("--json") else { throw UsageError("top: --json goes with --once", help: "sluice top --help") }
        guard Output.isTerminal else {
            throw UsageError(
                "top: standard error is no terminal to draw on", help: "sluice top --once prints one frame, --once --json for programs")
        }
        try await TopScreen.show(&sampling, title: arguments.config)
        return .success
    }
}

/// The pipelines as the state store has them, sample by sample.
struct TopSampling {
    let configuration: SluiceConfiguration
    private var windows: [String: RateWindow] = [:]
    private var seen: [String: Int64] = [:]

    init(configuration: SluiceConfiguration) { self.configuration = configuration }

    mutating func rows() async throws -> [TopView.Row] {
        // Stores are not opened for it: a second is too short for that, and what runs tells the state file what they hold.
        try await PipelineStatus.all(of: configuration, readsStores: false).map { row($0) }
    }

    private mutating func row(_ report: PipelineStatus) -> TopView.Row {
        let name = report.settings.name
        if let status = report.status, seen[name] != status.updated {
            seen[name] = status.updated
            windows[name, default: RateWindow()].add([Double(status.rows.values.reduce(0, +))], at: Double(status.updated) / 1e6)
        }
        return TopView.Row(
            pipeline: name, state: report.state, network: report.settings.network, head: report.status?.head,
            position: report.status?.position, rowsPerSecond: report.isAlive ? windows[name]?.rates?.first : nil,
            reorganisations: report.status?.reorgs ?? 0, deadLetters: report.letters.reduce(0) { $0 + UInt64($1.count) },
            gaps: report.gaps.filter { $0.kind == .hole }.count, message: report.status?.message)
    }
}

/// The live table on the terminal.
private enum TopScreen {
    static func show(_ sampling: inout TopSampling, title: String) async throws {
        let stop = StopSignal()
        StopWatcher().watch(stop)
        let screen = Screen()
        let keyboard = Keyboard()
        var size = (Output.width, Output.height)
        // Without a state file there is nothing to watch; one that cannot be read for a moment later on is asked again.
        var rows = try await sampling.rows()
        var trouble: String?
        while !stop.isRaised {
            if size != (Output.width, Output.height) {
                // Lines that the terminal broke anew cannot be counted: it begins on an empty screen.
                screen.leave()
                Output.terminal("\u{1B}[2J\u{1B}[H")
                size = (Output.width, Output.height)
            }
            let view = TopView(width: size.0, height: size.1 - 1, style: Output.style)
            screen.draw(view.lines(rows, title: title, hint: trouble ?? (keyboard == nil ? "Ctrl-C quits" : "q quits")))
            // A key is noticed soon, the store is asked once a second.
            for _ in 0..<10 where !stop.isRaised {
                if let keys = keyboard?.pressed(), keys.contains(where: { [UInt8(ascii: "q"), UInt8(ascii: "Q"), 4].contains($0) }) {
                    stop.raise()
                }
                try? await Task.sleep(for: .milliseconds(100))
            }
            guard !stop.isRaised else { break }
            do {
                rows = try await sampling.rows()
                trouble = nil
            } catch { trouble = Visible.safe("\(error)") }
        }
        screen.leave()
    }
}
