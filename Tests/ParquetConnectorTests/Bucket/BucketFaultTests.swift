import Foundation
import SluiceConfig
import SluiceCore
import SluiceNet
import SluiceTestKit
import Synchronization
import Testing

@testable import ParquetConnector

/// Names that need care, keys that may not, and servers that fail in the midst of something.
@Suite(.bucket, .enabled(if: TestServices.hasS3, "moto is not there: scripts/setup --test")) struct BucketFaultTests {
    private let id = StreamID(pipeline: "p", chainID: 1)

    private static let client = """
        import sys, json, boto3
        def client(name, key, secret): return boto3.client(name, endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret)
        s3 = client("s3", sys.argv[2], sys.argv[3])

        """

    @Test(
        "a prefix is taken as it is, whatever is in it",
        arguments: ["a b+c%41&=?#;:@,$!*()", "<x>\"'&amp;]]>", "日本/ü\u{301}/\u{1F9EC}", "date=2023-11-14/x_1_2.parquet", "...", "~-_."])
    func prefixes(_ prefix: String) async throws {
        let bucket = try Bucket(prefix)
        try await withFolder { folder in
            let stream = try await bucket.sink(folder).open(id, tables: SmallChain.schemas)
            _ = try await stream.write(SmallChain.batch(1...7))
            try bucket.expect(Array(1...7))
            try bucket.python(
                Self.client
                    + "s3.create_multipart_upload(Bucket='sluice', Key=sys.argv[4] + '/logs/chain_id=1/date=2023-11-14/logs_x.parquet')")
            let next = try await bucket.sink(folder).open(id, tables: SmallChain.schemas)
            #expect(try await next.coverage() == [SmallChain.segment(1...7)])
            let uploads = try bucket.python(
                Self.client + "print(len(s3.list_multipart_uploads(Bucket='sluice', Prefix=sys.argv[4]).get('Uploads', [])))")
            #expect(uploads == "0\n")
            try await next.rollback(to: SmallChain.position(5))
            try bucket.expect(Array(1...5))
        }
    }

    @Test("names that no request can carry are refused before anything is asked")
    func names() async throws {
        let cases: [(inout BucketOptions) -> Void] = [
            { $0.bucket = "" }, { $0.prefix = "a/../b" }, { $0.prefix = "./a" }, { ($0.bucket, $0.pathStyle) = ("Big Bucket?", false) },
        ]
        let bucket = try Bucket("names")
        try await withFolder { folder in
            for adjust in cases {
                await #expect { _ = try await bucket.sink(folder, adjust).open(id, tables: SmallChain.schemas) } throws: {
                    ($0 as? SluiceError)?.class == .config
                }
            }
            // In the path even such a name can be asked for.
            await #expect {
                _ = try await bucket.sink(folder) { $0.bucket = "Big Bucket?" }.open(id, tables: SmallChain.schemas)
            } throws: {
                ($0 as? SluiceError)?.class == .config && "\($0)".contains("(NoSuchBucket,")
            }
        }
    }

    @Test("a key that may only read pauses the stream, and nothing is lost when it may write")
    func readOnly() async throws {
        let bucket = try Bucket("read-only")
        let said = try bucket.python(
            Self.client + """
                iam = client("iam", sys.argv[2], sys.argv[3])
                iam.create_user(UserName="reader")
                some = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "*"}]}
                iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=json.dumps(some))
                key = iam.create_access_key(UserName="reader")["AccessKey"]
                print(key["AccessKeyId"], key["SecretAccessKey"])
                """
        ).split { $0 == " " || $0 == "\n" }.map(String.init)
        try await withFolder { folder in
            let writer = bucket.sink(folder)
            let first = try await writer.open(id, tables: SmallChain.schemas)
            _ = try await first.write(SmallChain.batch(1...3))
            await writer.close()
            let reader = bucket.sink(folder) {
                $0.accessKey = said[0]
                $0.secretKey = .init(said[1])
            }
            let stream = try await reader.open(id, tables: SmallChain.schemas)
            #expect(try await stream.coverage() == [SmallChain.segment(1...3)])
            await #expect { _ = try await stream.write(SmallChain.batch(4...7)) } throws: {
                ($0 as? SluiceError)?.class == .pause && "\($0)".contains("(AccessDenied,") && !"\($0)".contains(said[1])
            }
            #expect(try await stream.coverage() == [SmallChain.segment(1...3)])
            await reader.close()
            let next = try await bucket.sink(folder).open(id, tables: SmallChain.schemas)
            _ = try await next.write(SmallChain.batch(4...7))
            try bucket.expect(Array(1...7))
        }
    }
}

/// Uploads in parts into a server that fails.
@Suite struct BucketUploadTests {
    /// What the server has been asked, and how it fails.
    private final class Server: Sendable {
        let log = Mutex<[String]>([])
        private let fault: @Sendable (String, Int) -> [ScriptedServer.Step]?

        /// - Parameter fault: by what was asked (`begin`, `part`, `list`, `end`, `abort`) and how often before.
        init(_ fault: @escaping @Sendable (String, Int) -> [ScriptedServer.Step]?) { self.fault = fault }

        func answer(_ request: ScriptedServer.Request) -> [ScriptedServer.Step] {
            let kind =
                switch (request.method, request.path) {
                case ("POST", let path) where path.contains("uploads"): "begin"
                case ("PUT", _): "part"
                case ("GET", _): "list"
                case ("POST", _): "end"
                default: "abort"
                }
            let before = log.withLock { log in
                defer { log.append(kind) }
                return log.count { $0 == kind }
            }
            if let steps = fault(kind, before) { return steps }
            switch kind {
            case "begin": return .response(body: Array("<I><UploadId>u\(before)</UploadId></I>".utf8))
            case "list":
                let parts = (1...3).map { part in
                    "<Part><PartNumber>\(part)</PartNumber><ETag>\"e\"</ETag><Size>\(part == 3 ? 7 : 5 << 20)</Size></Part>"
                }
                return .response(body: Array("<L>\(parts.joined())</L>".utf8))
            case "end": return .response(body: Array("<C><ETag>e</ETag></C>".utf8))
            default: return .response(kind == "abort" ? 204 : 200)
            }
        }
    }

    private func put(_ server: Server, budget: Duration = .seconds(60)) async throws -> [String] {
        let scripted = try ScriptedServer { server.answer($0) }
        let options = BucketOptions(
            bucket: "b", endpoint: scripted.url, accessKey: "k", secretKey: "s", partBytes: 5 << 20, retryBudget: budget)
        let client = BucketClient(options, http: try HTTPClient())
        try await withFolder { folder in
            let path = "\(folder)/file"
            try Data(count: (10 << 20) + 7).write(to: URL(fileURLWithPath: path))
            try await onThread { try client.put(path, as: "x") }
        }
        return server.log.withLock { $0 }
    }

    private static func error(_ code: String) -> [UInt8] { Array("<Error><Code>\(code)</Code><Message>because</Message></Error>".utf8) }

    @Test("a part that fails, or whose connection is cut before the answer, is sent again; the others are not")
    func parts() async throws {
        let server = Server { kind, before in
            guard kind == "part" else { return nil }
            return [1: .response(503, body: Self.error("SlowDown")), 3: [.reset], 4: [.close]][before]
        }
        #expect(try await put(server) == ["begin"] + Array(repeating: "part", count: 6) + ["list", "end"])
    }

    @Test("an end whose answer is lost, and which is done when it is asked for again, makes one object")
    func end() async throws {
        let server = Server { kind, before in
            guard kind == "end" else { return nil }
            return [0: [.reset], 1: .response(404, body: Self.error("NoSuchUpload"))][before]
        }
        let said = try await put(server)
        #expect(said.filter { $0 == "begin" }.count == 2 && said.filter { $0 == "end" }.count == 3 && said.last == "end")
    }

    @Test("an upload that fails for good is given up: an error within an answer of 200, and a list of parts that lacks one")
    func failures() async throws {
        let cases: [(String, [ScriptedServer.Step], SluiceError.Class)] = [
            ("end", .response(200, body: Self.error("InternalError")), .retry),
            ("part", .response(500, body: Self.error("InternalError")), .retry),
            ("part", .response(507, body: Self.error("QuotaExceeded")), .pause),
            (
                "list", .response(200, body: Array("<L><Part><PartNumber>1</PartNumber><ETag>e</ETag><Size>5</Size></Part></L>".utf8)),
                .pause
            ),
        ]
        for (at, steps, kind) in cases {
            let server = Server { kind, _ in kind == at ? steps : nil }
            await #expect { _ = try await put(server, budget: .zero) } throws: { ($0 as? SluiceError)?.class == kind }
            #expect(server.log.withLock { $0.last } == "abort", "\(at)")
        }
    }
}
