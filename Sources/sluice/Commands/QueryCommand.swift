import Glibc
import SluiceCatalog
import SluiceCommand
import SluiceConfig
import SluiceCore
import SluiceDuckDB

extension Command {
    static let query = Command(
        name: "query", summary: "ask the database a question in SQL, also while sluice run writes it",
        usage: "[-c FILE] \"SQL\" [--sink NAME] [--format table|json|csv|parquet] [-o OUT]",
        options: [
            .config, Option("--sink", "NAME", "the duckdb sink to ask (default: the only one)"),
            Option("--format", short: "-f", "FORMAT", "table, json, csv or parquet (default: table, or by the ending of OUT)"),
            Option("--output", short: "-o", "OUT", "write to this file instead of standard output; it appears when it is whole"), .json,
        ],
        operands: 1...1,
        examples: [
            "sluice query -c sluice.yaml \"SELECT count(*), max(number) FROM blocks\"",
            "sluice query -c sluice.yaml \"SELECT to_0x(hash) AS hash, gas_used FROM blocks ORDER BY number DESC LIMIT 5\" --format json",
            "sluice query -c sluice.yaml \"SELECT * FROM erc20_transfers\" -o transfers.parquet",
        ]
    ) { arguments in
        let output = arguments.string("--output")
        let known = ["table", "json", "csv", "parquet"]
        let ending = output.flatMap { path in known.first { $0 != "table" && path.hasSuffix("." + $0) } }
        let format = try arguments.choice("--format", known) ?? (arguments.has("--json") ? "json" : ending ?? "table")
        if format == "parquet", output == nil { throw UsageError("query: --format parquet needs a file to write to (-o OUT)") }
        let configuration = try SluiceConfiguration.load(path: arguments.config, catalog: Catalog.configuration)
        let sink = try QuerySource.sink(configuration, named: arguments.string("--sink"))
        let path = sink.options.string("path")
        let sql = arguments.operands[0]
        return try await Interruptible.run { register in
            let source = try QuerySource(path: path)
            register { source.interrupt() }
            if format == "parquet", let output {
                let target = try PartialFile(output)
                let count = try source.copy(sql, toParquet: target.partial)
                try target.finish()
                Output.note("\(Amount.count(count, "row")) in \(output)")
            } else {
                try answer(sql, source, format, output)
            }
        }
    }

    private static func answer(_ sql: String, _ source: QuerySource, _ format: String, _ output: String?) throws {
        let target = try output.map { try PartialFile($0) }
        let file = try target.map { try $0.open() }
        var failure: SluiceError?
        let sink: TextSink = { text in
            guard failure == nil else { return }
            failure = Output.write(text, to: file ?? STDOUT_FILENO)
        }
        let isShown = file == nil && Output.isOutputTerminal
        var writer: any ResultWriter =
            switch format {
            case "json": JSONResultWriter(sink)
            case "csv": CSVResultWriter(sink)
            default: TableResultWriter(style: file == nil ? Output.outputStyle : .plain, shortens: isShown, sink)
            }
        var count: UInt64 = 0
        try source.run(sql) {
            writer.begin($0)
        } rows: { rows in
            count += UInt64(rows.count)
            writer.rows(rows)
            if let failure { throw failure }
        }
        writer.end()
        if let failure { throw failure }
        try target?.finish()
        if let output {
            Output.note("\(Amount.count(count, "row")) in \(output)")
        } else if isShown {
            Output.note("(\(Amount.count(count, "row")))")
        }
    }
}
