import SluiceCatalog
import SluiceCommand
import SluiceConfig
import SluiceCore
import SluiceDuckDB

extension Command {
    static let validate = Command(
        name: "validate", summary: "check a configuration; all problems at once", usage: "[-c FILE] [--connect]",
        options: [.config, Option("--connect", nil, "also ask every endpoint for its chain, and look whether every sink can be written")],
        examples: ["sluice validate -c sluice.yaml", "sluice validate -c sluice.yaml --connect"]
    ) { arguments in
        let configuration = try SluiceConfiguration.load(path: arguments.config, catalog: Catalog.configuration)
        func count(_ number: Int, _ noun: String) -> String { Amount.count(UInt64(number), noun) }
        Output.line(
            "\(arguments.config) is valid: \(count(configuration.networks.count, "network")), \(count(configuration.sinks.count, "sink")), \(count(configuration.pipelines.count, "pipeline"))"
        )
        for pipeline in configuration.pipelines {
            for told in pipeline.configured {
                Output.line("pipeline \(pipeline.name), register \(told.register.name):")
                for line in told.summary { Output.line("  \(line)") }
            }
        }
        return arguments.has("--connect") ? try await ConnectionCheck(configuration: configuration).run() : .success
    }

    static let registers = Command(
        name: "registers", summary: "list what can be asked for, with tables and columns", usage: "[--format text|json|markdown]",
        options: [Option("--format", "FORMAT", "text, json or markdown (default: text)"), .json]
    ) { arguments in
        switch try arguments.choice("--format", ["text", "json", "markdown"]) ?? (arguments.has("--json") ? "json" : "text") {
        case "json":
            Output.line(JSON.members(["registers": .array(Catalog.registers.map { RegisterPages.json($0, tables: true) })]).pretty())
        case "markdown": Output.data(RegisterPages.markdown())
        default: Output.line(RegisterPages.text(Output.outputStyle).joined(separator: "\n"))
        }
        return .success
    }

    static let version = Command(name: "version", summary: "say what this is", usage: "[--json]", options: [.json]) { arguments in
        // A missing library is no reason not to say the rest; whatever needs it says more.
        let duckdb = try? DuckDBLibrary.libraryVersion()
        if arguments.has("--json") {
            Output.line(JSON.members(["name": "sluice", "version": .string(Version.text), "duckdb": .text(duckdb)]).compact)
        } else {
            Output.line("sluice \(Version.text), DuckDB \(duckdb ?? "not found")")
        }
        return .success
    }
}
