import Glibc
import SluiceCore
import SluiceTestKit

extension Suites {
    /// The Parquet sink beside pyarrow, which writes the same columns into as many files; and the sink into a bucket, with what the client costs.
    func objects() throws {
        guard let packages = Self.packages(["pyarrow-"]) else {
            return Text.say("objects: SKIPPED, there is no pyarrow: scripts/setup --test fetches it")
        }
        let blocks = count(2_000) / bench.workload.count * bench.workload.count
        try beside(packages, blocks)
        guard TestServices.hasS3, let clients = Self.packages(["pyarrow-", "moto-"]) else {
            return Text.say("objects: buckets SKIPPED, there is no server: scripts/setup --test fetches it")
        }
        try buckets(clients, blocks)
    }

    private static let tables = ["blocks", "transactions", "logs"]

    /// The same rows by the sink and by pyarrow, in turns.
    private func beside(_ packages: String, _ blocks: Int) throws {
        let rows = bench.rows(blocks).reduce(0, +)
        var ours: [Usage] = []
        var theirs: [Usage] = []
        for _ in 0..<runs {
            let store = "\(bench.folder)/step"
            Cleanup.remove(store)
            ours.append(try usage(try bench.helper(["measure", "parquet", "\(blocks)", store])))
            let said = try python(packages, Self.writer, ["\(store)/lake", "\(store)/theirs"] + Self.tables)
            Cleanup.remove(store)
            let words = Dictionary(Bench.words(said), uniquingKeysWith: { $1 })
            guard let cpu = words["cpu"], let wall = words["wall"], let found = words["rows"] else {
                throw BenchError("pyarrow gives no figures: \(said)")
            }
            guard Int(found) == rows else { throw BenchError("the sink left \(Int(found)) rows, not \(rows)") }
            theirs.append(Usage(cpu: cpu, wall: wall, peak: 0))
        }
        func middle(_ usages: [Usage], _ value: (Usage) -> Double) -> Double { usages.map(value).sorted()[usages.count / 2] }
        let (cpu, wall) = (middle(theirs, \.cpu) / middle(ours, \.cpu), middle(theirs, \.wall) / middle(ours, \.wall))
        emit(figure("objects", "pyarrow, from Arrow tables to Parquet", blocks, theirs, rows: rows))
        var result = figure("objects", "columns to Parquet", blocks, ours, rows: rows)
        result.ratio = wall
        result.note =
            "\(Text.fixed(wall * 100, 0)) % of pyarrow's rows/s, \(Text.fixed(cpu * 100, 0)) % of its rows a CPU-second (100 % is asked for)"
        emit(result)
    }

    /// Into a bucket: columns alone, and the whole path. The server is Python, so that only CPU says something about the sink.
    private func buckets(_ packages: String, _ blocks: Int) throws {
        let services = try TestServices(["s3"], root: try Self.root())
        defer { services.stop() }
        guard let url = services.variables["SLUICE_TEST_S3"], let key = services.variables["SLUICE_TEST_S3_KEY"],
            let secret = services.variables["SLUICE_TEST_S3_SECRET"]
        else { throw BenchError("scripts/services does not say where the bucket is") }
        let server = [url, key, secret]
        var columns: [Usage] = []
        var path: [Usage] = []
        for run in 0..<runs {
            let store = "\(bench.folder)/step"
            Cleanup.remove(store)
            columns.append(
                try usage(
                    try bench.helper(["measure", "bucket", "\(blocks)", (server + ["\(store)", "columns-\(run)"]).joined(separator: "#")])))
            Cleanup.remove(store)
            try expect(packages, server, "columns-\(run)", blocks)
            var trial = Trial(bench: bench, store: .bucket, blocks: blocks)
            trial.url = (server + ["path-\(run)"]).joined(separator: "#")
            path += try trial.run(1).runs
            try expect(packages, server, "path-\(run)", blocks)
        }
        emit(figure("objects", "columns to a bucket (moto), client alone", blocks, columns))
        emit(figure("objects", "RPC to a bucket (moto), client alone", blocks, path))
    }

    /// That a bucket holds all rows, as another client counts them.
    private func expect(_ packages: String, _ server: [String], _ prefix: String, _ blocks: Int) throws {
        let found = try python(packages, Self.counter, server + [prefix] + Self.tables).split(separator: " ").compactMap { Int($0) }
        guard found == bench.rows(blocks) else { throw BenchError("a run left \(found) rows in the bucket, not \(bench.rows(blocks))") }
    }

    private func usage(_ measured: (output: [String], usage: Usage)) throws -> Usage {
        let words = Dictionary(Bench.words(measured.output.last ?? ""), uniquingKeysWith: { $1 })
        guard let cpu = words["cpu"], let wall = words["wall"] else { throw BenchError("measuring the sink: no figures came") }
        return Usage(cpu: cpu, wall: wall, peak: measured.usage.peak)
    }

    // MARK: - Python

    /// Reads what the sink wrote, file by file, and writes each again as the sink does: zstd 1, as many rows a group, and forced to disk. Only the
    /// writing counts.
    private static let writer = """
        import glob, os, sys, time
        import pyarrow.parquet as pq
        source, target, tables = sys.argv[1], sys.argv[2], sys.argv[3:]
        os.makedirs(target)
        rows, cpu, wall = 0, 0.0, 0.0
        for table in tables:
            for at, name in enumerate(sorted(glob.glob(f"{source}/{table}/**/*.parquet", recursive=True))):
                columns = pq.ParquetFile(name).read().combine_chunks()
                rows += columns.num_rows
                used, start = time.process_time(), time.perf_counter()
                with open(f"{target}/{table}-{at}.parquet", "wb") as file:
                    pq.write_table(columns, file, compression="zstd", compression_level=1, row_group_size=8192)
                    file.flush()
                    os.fsync(file.fileno())
                cpu += time.process_time() - used
                wall += time.perf_counter() - start
        print(f"rows={rows} cpu={cpu} wall={wall}")
        """

    /// Prints the rows of each table in a bucket, by the files' own count.
    private static let counter = """
        import io, sys, boto3
        import pyarrow.parquet as pq
        url, key, secret, prefix = sys.argv[1:5]
        s3 = boto3.client("s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret)
        counts = {table: 0 for table in sys.argv[5:]}
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket="sluice", Prefix=prefix + "/"):
            for item in page.get("Contents", []):
                table = item["Key"].split("/")[1]
                if item["Key"].endswith(".parquet") and table in counts:
                    body = s3.get_object(Bucket="sluice", Key=item["Key"])["Body"].read()
                    counts[table] += pq.ParquetFile(io.BytesIO(body)).metadata.num_rows
        print(*counts.values())
        """

    /// What is fetched for the tests, as a path for Python; nil when some of it is missing.
    private static func packages(_ prefixes: [String]) -> String? {
        func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
        let cache = (variable("XDG_CACHE_HOME") ?? (variable("HOME") ?? "") + "/.cache") + "/sluice"
        let names = Text.names(cache).filter { !$0.contains("partial") }.sorted()
        let found = prefixes.compactMap { prefix in names.last { $0.hasPrefix(prefix) } }
        return found.count == prefixes.count ? found.map { "\(cache)/\($0)" }.joined(separator: ":") : nil
    }

    /// Runs a script and returns its last line.
    private func python(_ packages: String, _ script: String, _ arguments: [String]) throws -> String {
        let (path, errors) = ("\(bench.folder)/python.out", "\(bench.folder)/python.log")
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw BenchError("writing \(path)") }
        defer { close(file) }
        let child = try Child(
            ["/usr/bin/env", "PYTHONPATH=\(packages)", "python3.11", "-B", "-c", script] + arguments, output: file, errors: errors)
        _ = try child.wait(errors: errors)
        return (Text.file(path) ?? "").split(separator: "\n").last.map(String.init) ?? ""
    }
}
