import DuckDBConnector
import Glibc
import ParquetConnector

/// `sluice-bench duckdb|parquet <folder> [blocks] [key=value...]`: measures a sink into an empty folder.
@main struct Bench {
    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst()
        let plain = arguments.filter { !$0.contains("=") }
        var settings: [String: Int] = [:]
        for argument in arguments where argument.contains("=") {
            let parts = argument.split(separator: "=")
            if parts.count == 2 { settings[String(parts[0])] = Int(parts[1]) }
        }
        guard plain.count >= 2 else {
            print("usage: sluice-bench duckdb|parquet <folder> [blocks] [key=value...]")
            exit(64)
        }
        let folder = plain[plain.startIndex + 1]
        let blocks = plain.count > 2 ? UInt64(plain[plain.startIndex + 2]) ?? 1_000 : 1_000
        if plain.first == "parquet" {
            var options = ParquetSinkOptions(directory: folder)
            options.compressionLevel = settings["level"] ?? options.compressionLevel
            options.rowGroupRows = settings["rows"] ?? options.rowGroupRows
            options.memoryLimitBytes = settings["memory"] ?? options.memoryLimitBytes
            try await SinkBench.run("parquet", ParquetSink(options, segments: SinkBench.Segments()), blocks: blocks)
        } else {
            var options = DuckDBSinkOptions(path: "\(folder)/bench.duckdb")
            options.commitRows = settings["commit"] ?? options.commitRows
            options.stageBytes = settings["stage"] ?? options.stageBytes
            options.rowGroupSize = settings["rows"] ?? options.rowGroupSize
            options.memoryLimitBytes = settings["memory"] ?? options.memoryLimitBytes
            if settings["small"] == 1 { options.compression = .small }
            try await SinkBench.run("duckdb", DuckDBSink(options), blocks: blocks)
        }
    }
}
