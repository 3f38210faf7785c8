import Foundation
import SluiceConfig
import SluiceCore
import SluiceNet
import SluiceTestKit
import Testing

@testable import ParquetConnector

/// The Parquet sink into a bucket: the same writer, looked at through another client.
@Suite(.bucket, .enabled(if: TestServices.hasS3, "moto is not there: scripts/setup --test")) struct BucketSinkTests {
    private let id = StreamID(pipeline: "p", chainID: 1)

    @Test("spans go up when they are whole, manifests last; another process goes on from there, also without the working folder")
    func spans() async throws {
        let bucket = try Bucket("spans and ünïcode")
        try await withFolder { folder in
            let stream = try await bucket.sink(folder + "/a").open(id, tables: SmallChain.schemas)
            #expect(try await stream.write(SmallChain.batch(1...9)) == SmallChain.position(7))
            try bucket.expect(Array(1...7))
            #expect(try await stream.flush() == nil)
            // The first process is gone with what it had open.
            let next = try await bucket.sink(folder + "/b").open(id, tables: SmallChain.schemas)
            #expect(try await next.coverage() == [SmallChain.segment(1...7)])
            _ = try await next.write(SmallChain.batch(8...13))
            #expect(try await next.finish() == SmallChain.position(13))
            try bucket.expect(Array(1...13))
            let names = try bucket.look().objects.keys.filter { $0.hasPrefix("blocks") }.sorted()
            #expect(
                names
                    == ["000000000001_000000000003", "000000000004_000000000007", "000000000008_000000000011", "000000000012_000000000013"]
                    .map { "blocks/chain_id=1/date=2023-11-14/blocks_\($0).parquet" })
            // The state file may be lost: the bucket says what is there.
            bucket.segments.save([], of: id)
            let third = try await bucket.sink(folder + "/c").open(id, tables: SmallChain.schemas)
            #expect(try await third.coverage() == [SmallChain.segment(1...13)])
        }
    }

    @Test("a crash between the files and their manifest leaves neither, at the next start")
    func crash() async throws {
        let bucket = try Bucket("crash")
        try await withFolder { folder in
            let stream = try await bucket.sink(folder).open(id, tables: SmallChain.schemas)
            _ = try await stream.write(SmallChain.batch(1...7))
            try bucket.python(
                Self.client + """
                    for key in [k["Key"] for k in s3.list_objects_v2(Bucket="sluice", Prefix=sys.argv[4] + "/")["Contents"]]:
                        if "_manifests" in key and "_000000000007" in key: s3.delete_object(Bucket="sluice", Key=key)
                    s3.create_multipart_upload(Bucket="sluice", Key=sys.argv[4] + "/blocks/chain_id=1/date=2023-11-14/blocks_x.parquet")
                    """)
            bucket.segments.save([SmallChain.segment(1...3)], of: id)
            let next = try await bucket.sink(folder).open(id, tables: SmallChain.schemas)
            try bucket.expect(Array(1...3))
            #expect(try await next.coverage() == [SmallChain.segment(1...3)])
            let uploads = try bucket.python(
                Self.client + "print(len(s3.list_multipart_uploads(Bucket='sluice', Prefix=sys.argv[4]).get('Uploads', [])))")
            #expect(uploads == "0\n")
            _ = try await next.write(SmallChain.batch(4...7))
            try bucket.expect(Array(1...7))
        }
    }

    private static let client = """
        import sys, boto3
        s3 = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id=sys.argv[2], aws_secret_access_key=sys.argv[3])

        """

    @Test("a rollback drops whole spans and cuts the one around its position", arguments: [0, 3, 5, 9] as [UInt64])
    func rollback(_ kept: UInt64) async throws {
        let bucket = try Bucket("rollback-\(kept)")
        try await withFolder { folder in
            let stream = try await bucket.sink(folder).open(id, tables: SmallChain.schemas)
            _ = try await stream.write(SmallChain.batch(1...11))
            _ = try await stream.write(SmallChain.batch(20...23))
            try await stream.rollback(to: SmallChain.position(kept))
            let left = (kept > 0 ? Array(1...kept) : []) + Array(20...23)
            try bucket.expect(left)
            let next = try await bucket.sink(folder).open(id, tables: SmallChain.schemas)
            _ = try await next.write(SmallChain.batch(kept + 1...11, fork: 1, parentFork: 0))
            let forks = Dictionary(uniqueKeysWithValues: (kept + 1...11).map { ($0, UInt8(1)) })
            try bucket.expect((kept > 0 ? Array(1...kept) : []) + Array(kept + 1...11) + Array(20...23), forks: forks)
        }
    }

    @Test("rows that are amended are there once, however often, in files that are up and in those that are open")
    func amend() async throws {
        let bucket = try Bucket("amend")
        try await withFolder { folder in
            let stream = try await bucket.sink(folder).open(id, tables: SmallChain.schemas)
            _ = try await stream.write(SmallChain.batch(1...9))
            for _ in 0..<2 {
                try await stream.amend([
                    SmallChain.amendment(3, places: [7]), SmallChain.amendment(5, places: [0, 1], rows: [1], note: "only"),
                    SmallChain.amendment(8, places: [0], note: "open"),
                ])
            }
            for (amendment, code) in [
                (SmallChain.amendment(40, places: [0]), SluiceError.Code.blockNotHeld),
                (SmallChain.amendment(5, places: [0], fork: 1), .blockDiffers),
            ] {
                await #expect { try await stream.amend([amendment]) } throws: { ($0 as? SluiceError)?.code == code }
            }
            _ = try await stream.write(SmallChain.batch(10...11))
            let found = try bucket.look()
            #expect(
                found.logs == [
                    "1 0 -", "2 0 -", "2 1 -", "3 7 new", "4 0 -", "5 1 only", "7 0 -", "8 0 open", "8 1 -", "10 0 -", "11 0 -", "11 1 -",
                ])
            #expect(!found.objects.keys.contains { $0.hasPrefix("_temporary") || $0.hasSuffix(".next") })
        }
    }

    @Test("an amendment that was cut off is ended by the next start, without the working folder")
    func interrupted() async throws {
        let bucket = try Bucket("interrupted")
        try await withFolder { folder in
            let stream = try await bucket.sink(folder + "/a").open(id, tables: SmallChain.schemas)
            _ = try await stream.write(SmallChain.batch(1...3))
            try await stream.amend([SmallChain.amendment(2, places: [0], note: "new")])
            // As it is when the new file and manifest are staged, and nothing has its name yet.
            try bucket.python(
                Self.client + """
                    import io, json, pyarrow.parquet as pq
                    root = sys.argv[4] + "/"
                    def move(a, b):
                        s3.copy_object(Bucket="sluice", Key=root + b, CopySource={"Bucket": "sluice", "Key": root + a})
                    name = "logs/chain_id=1/date=2023-11-14/logs_000000000001_000000000003.parquet"
                    move(name, "_temporary/1/logs.next")
                    move("_manifests/1/000000000001_000000000003.json", "_manifests/1/000000000001_000000000003.next")
                    table = pq.read_table(io.BytesIO(s3.get_object(Bucket="sluice", Key=root + name)["Body"].read()))
                    old = io.BytesIO()
                    pq.write_table(table.slice(0, 1), old)
                    s3.put_object(Bucket="sluice", Key=root + name, Body=old.getvalue())
                    """)
            _ = try await bucket.sink(folder + "/b").open(id, tables: SmallChain.schemas)
            let found = try bucket.look()
            #expect(found.logs == ["1 0 -", "2 0 new", "2 1 -"])
            #expect(!found.objects.keys.contains { $0.hasPrefix("_temporary") || $0.hasSuffix(".next") })
        }
    }

    @Test("a large file goes up in parts and comes back the same; many objects are listed page by page")
    func parts() async throws {
        let bucket = try Bucket("parts")
        try await withFolder { folder in
            let http = try HTTPClient()
            let client = BucketClient(bucket.options { $0.partBytes = 5 << 20 }, http: http)
            var random = SeededRandom(seed: 3)
            for size in [0, 1, 10 << 20, (10 << 20) + 1, (17 << 20) + 12345] {
                var bytes = Data(count: size)
                for at in stride(from: 0, to: size, by: 997) { bytes[at] = UInt8.random(in: 0 ... .max, using: &random) }
                let path = "\(folder)/file"
                try bytes.write(to: URL(fileURLWithPath: path))
                try await onThread { try client.put(path, as: "file \(size)/+&=%41?") }
                let back = try await onThread {
                    let content = try client.get("file \(size)/+&=%41?")
                    return withExtendedLifetime(content) { Array(content.bytes) }
                }
                #expect(back == Array(bytes))
            }
            let listed = Dictionary(uniqueKeysWithValues: try await onThread { try client.list("file") }.map { ($0.path, $0.bytes) })
            #expect(listed["file 10485761/+&=%41?"] == 10_485_761 && listed.count == 5)
            let sizes = try bucket.look().objects
            #expect(sizes == listed)
            http.shutdown()
        }
    }

    @Test("wrong keys, buckets and endpoints are one clear error each, without the key")
    func refusals() async throws {
        let bucket = try Bucket("refusals")
        let cases: [((inout BucketOptions) -> Void, SluiceError.Class, String)] = [
            ({ $0.secretKey = Secret("hunter2") }, .config, "SignatureDoesNotMatch"),
            ({ $0.accessKey = "AKIANOBODY0000000000" }, .config, "InvalidAccessKeyId"),
            ({ $0.accessKey = "" }, .config, "lacks its key"), ({ $0.bucket = "nothing" }, .config, "NoSuchBucket"),
            ({ $0.endpoint = "http://127.0.0.1:1" }, .retry, "connect"),
        ]
        try await withFolder { folder in
            for (adjust, kind, said) in cases {
                await #expect { _ = try await bucket.sink(folder, adjust).open(id, tables: SmallChain.schemas) } throws: { error in
                    let text = "\(error)"
                    return (error as? SluiceError)?.class == kind && text.contains(said) && !text.contains("hunter2")
                        && !text.contains(bucket.secret)
                }
            }
        }
    }

    @Test("a server that goes gives an error that passes, and the stream goes on from what is there")
    func gone() async throws {
        let bucket = try Bucket("gone")
        try await withFolder { folder in
            let sink = bucket.sink(folder)
            let stream = try await sink.open(id, tables: SmallChain.schemas)
            _ = try await stream.write(SmallChain.batch(1...3))
            await sink.close()
            await #expect { _ = try await stream.write(SmallChain.batch(4...7)) } throws: { ($0 as? SluiceError)?.class == .retry }
            let next = try await bucket.sink(folder).open(id, tables: SmallChain.schemas)
            _ = try await next.write(SmallChain.batch(4...7))
            try bucket.expect(Array(1...7))
        }
    }
}

/// Answers that a real server gives seldom, from a script.
@Suite struct BucketAnswerTests {
    private func client(_ server: ScriptedServer, budget: Duration = .seconds(20)) throws -> BucketClient {
        BucketClient(
            BucketOptions(bucket: "b", prefix: "p", endpoint: server.url, accessKey: "k", secretKey: "hunter2", retryBudget: budget),
            http: try HTTPClient())
    }

    @Test("pages of a list, with names that need care")
    func pages() async throws {
        let server = try ScriptedServer { request in
            #expect(request.headers["authorization"]?.contains("hunter2") == false)
            func page(_ keys: [String], _ next: String?) -> [ScriptedServer.Step] {
                let contents = keys.map { "<Contents><Key>\($0)</Key><Size>7</Size></Contents>" }.joined()
                let end =
                    next.map { "<IsTruncated>true</IsTruncated><NextContinuationToken>\($0)</NextContinuationToken>" }
                    ?? "<IsTruncated>false</IsTruncated>"
                return .response(body: Array("<?xml version=\"1.0\"?><ListBucketResult>\(end)\(contents)</ListBucketResult>".utf8))
            }
            if request.path.contains("continuation-token=t%2F1%3D%26") { return page(["p/t/c%26d"], nil) }
            return page(["p/t/a%20b", "p/t/%C3%BC"], "t/1=&amp;")
        }
        let found = try await onThread { try self.client(server).list("t/") }
        #expect(found.map(\.path) == ["t/a b", "t/ü", "t/c&d"] && found.allSatisfy { $0.bytes == 7 })
        #expect(server.requests == 2)
    }

    @Test("a busy server is asked again; one that fails late, or answers nonsense, is an error")
    func answers() async throws {
        @Sendable func error(_ code: String) -> [UInt8] { Array("<Error><Code>\(code)</Code><Message>because</Message></Error>".utf8) }
        let cases: [(Int, [UInt8], SluiceError.Class)] = [
            (200, error("InternalError"), .retry), (403, error("AccessDenied"), .pause), (301, error("PermanentRedirect"), .config),
            (403, error("RequestTimeTooSkewed"), .pause), (507, [], .pause), (200, Array("<html>".utf8), .pause),
            (503, error("SlowDown"), .retry),
        ]
        for (status, body, kind) in cases {
            let server = try ScriptedServer { _ in .response(status, body: body) }
            await #expect { try await onThread { try self.client(server, budget: .zero).copy("a", to: "b") } } throws: {
                ($0 as? SluiceError)?.class == kind
            }
        }
        let flaky = try ScriptedServer { request in
            request.connection == 0 && request.headers["x-amz-date"] != nil
                ? .response(503, headers: ["Connection: close"], body: error("SlowDown")) + [.close] : .response(204)
        }
        try await onThread { try self.client(flaky).remove("x") }
        #expect(flaky.requests == 2)
    }
}
