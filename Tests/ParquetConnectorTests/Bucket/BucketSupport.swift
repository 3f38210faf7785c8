import Foundation
import SluiceCore
import SluiceTestKit
import Synchronization
import Testing

@testable import ParquetConnector

/// Gives a suite a server that speaks S3 and checks signatures, which is gone with it.
struct BucketTrait: SuiteTrait, TestScoping {
    @TaskLocal static var services: TestServices?

    var isRecursive: Bool { false }

    func provideScope(for test: Test, testCase: Test.Case?, performing body: @Sendable @concurrent () async throws -> Void) async throws {
        let root = #filePath.split(separator: "/").dropLast(4).map { "/" + $0 }.joined()
        let services = try TestServices(["s3"], root: root)
        defer { services.stop() }
        try await Self.$services.withValue(services) { try await body() }
    }
}

extension Trait where Self == BucketTrait {
    static var bucket: Self { Self() }
}

/// A place of a test's own in the bucket.
struct Bucket {
    let prefix: String
    let endpoint: String
    let key: String
    let secret: String
    let segments = BucketSegments()

    init(_ prefix: String) throws {
        let variables = try #require(BucketTrait.services?.variables)
        self.prefix = prefix
        endpoint = try #require(variables["SLUICE_TEST_S3"])
        key = try #require(variables["SLUICE_TEST_S3_KEY"])
        secret = try #require(variables["SLUICE_TEST_S3_SECRET"])
    }

    func options(_ adjust: (inout BucketOptions) -> Void = { _ in }) -> BucketOptions {
        var options = BucketOptions(
            bucket: "sluice", prefix: prefix, endpoint: endpoint, accessKey: key, secretKey: secret, retryBudget: .zero)
        adjust(&options)
        return options
    }

    func sink(_ folder: String, _ adjust: (inout BucketOptions) -> Void = { _ in }) -> ParquetSink {
        ParquetSink(ParquetSinkOptions(directory: folder, blocksPerFile: 4, bucket: options(adjust)), segments: segments)
    }

    /// What another client and another reader find: every object by name with its size, and the rows of some tables, each as text.
    func look() throws -> (objects: [String: Int], blocks: [String], logs: [String]) {
        let text = try python(
            """
            import io, json, sys, boto3, pyarrow.parquet as pq
            s3 = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id=sys.argv[2], aws_secret_access_key=sys.argv[3])
            objects, rows = {}, {"blocks": [], "logs": []}
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket="sluice", Prefix=sys.argv[4] + "/"):
                for item in page.get("Contents", []):
                    name = item["Key"][len(sys.argv[4]) + 1:]
                    objects[name] = item["Size"]
                    if name.endswith(".parquet") and not name.startswith("_"):
                        table = pq.read_table(io.BytesIO(s3.get_object(Bucket="sluice", Key=item["Key"])["Body"].read()))
                        for row in table.to_pylist():
                            text = "%d %s" % (row["number"], row["hash"].hex()) if name.startswith("blocks") else "%d %d %s" % (row["block_number"], row["log_index"], row["note"] or "-")
                            rows[name.split("/")[0]].append(text)
            named = set()
            for name in [n for n in objects if n.startswith("_manifests/") and n.endswith(".json")]:
                for file in json.loads(s3.get_object(Bucket="sluice", Key=sys.argv[4] + "/" + name)["Body"].read())["files"]:
                    assert file["path"] not in named and objects[file["path"]] == file["bytes"], file
                    named.add(file["path"])
            key = lambda text: [int(word) if word.isdigit() else 0 for word in text.split()[:2]]
            print(json.dumps({"objects": objects, "blocks": sorted(rows["blocks"], key=key), "logs": sorted(rows["logs"], key=key),
                "stray": sorted(n for n in objects if n.endswith(".parquet") and n not in named)}))
            """)
        let tree = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        let objects = try #require(tree?["objects"] as? [String: Int])
        return (objects, tree?["blocks"] as? [String] ?? [], tree?["logs"] as? [String] ?? [])
    }

    /// Runs a script that is given endpoint, key, secret and prefix; returns what it prints.
    @discardableResult
    func python(_ script: String) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3.11", "-B", "-c", script, endpoint, key, secret, prefix]
        var environment = ProcessInfo.processInfo.environment
        environment["PYTHONPATH"] = Self.packages
        process.environment = environment
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(said)")
        return text
    }

    private static var packages: String {
        let environment = ProcessInfo.processInfo.environment
        let cache = (environment["XDG_CACHE_HOME"] ?? (environment["HOME"] ?? "") + "/.cache") + "/sluice"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: cache)) ?? []
        return names.filter { ($0.hasPrefix("pyarrow-") || $0.hasPrefix("moto-")) && !$0.contains("partial") }.map { "\(cache)/\($0)" }
            .joined(separator: ":")
    }

    /// That exactly these blocks are there, with their logs.
    func expect(_ blocks: [UInt64], forks: [UInt64: UInt8] = [:], sourceLocation: SourceLocation = #_sourceLocation) throws {
        let found = try look()
        let expected = blocks.map { "\($0) \(SmallChain.hash($0, fork: forks[$0] ?? 0).description.dropFirst(2))" }
        #expect(found.blocks == expected, sourceLocation: sourceLocation)
        #expect(found.logs == blocks.flatMap { number in (0..<number % 3).map { "\(number) \($0) -" } }, sourceLocation: sourceLocation)
        #expect(!found.objects.keys.contains { $0.hasPrefix("_temporary") || $0.hasSuffix(".next") }, sourceLocation: sourceLocation)
    }
}

final class BucketSegments: SegmentStore {
    private let all = Mutex<[StreamID: [Segment]]>([:])
    func load(_ stream: StreamID) -> [Segment] { all.withLock { $0[stream] ?? [] } }
    func save(_ segments: [Segment], of stream: StreamID) { all.withLock { $0[stream] = segments } }
}

/// Runs what blocks on a thread of its own: tests run on the pool, which must stay free to answer.
func onThread<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
    }
}
