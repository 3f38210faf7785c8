import SluiceCatalog
import SluiceCommand
import SluiceConfig
import SluiceCore
import SluiceFlow
import SluiceTelemetry

extension Command {
    static let run = Command(
        name: "run", summary: "follow the networks into the sinks, until stopped", usage: "[-c FILE] [--for DURATION] [--until-block N]",
        options: [
            .config, Option("--for", "DURATION", "stop after so long (30s, 10m, 1h)"),
            Option("--until-block", "N", "stop when block N is in every sink"), .quiet, .logLevel,
        ],
        examples: ["sluice run -c examples/quickstart.yaml", "sluice run -c sluice.yaml --for 10m"]
    ) { arguments in
        let until = try arguments.number("--until-block")
        let duration = try arguments.duration("--for")
        return try await Session.follow(arguments, until: until) { stop in
            guard let duration else { return }
            try? await Task.sleep(for: duration)
            stop.raise()
        }
    }

    static let backfill = Command(
        name: "backfill", summary: "read a range of blocks into the sinks that lack it",
        usage: "[-c FILE] --from A --to B [PIPELINE...]",
        options: [.config, Option("--from", "A", "first block"), Option("--to", "B", "last block"), .quiet, .logLevel],
        operands: 0...64, examples: ["sluice backfill -c sluice.yaml --from 19000000 --to 19000999"]
    ) { arguments in
        guard let from = try arguments.number("--from"), let to = try arguments.number("--to") else {
            throw UsageError("backfill: --from and --to are needed")
        }
        guard from <= to else { throw UsageError("backfill: --from \(from) lies behind --to \(to)") }
        return try await Session.backfill(arguments, from...to)
    }
}
