import Foundation
import SluiceConfig
import SluiceCore
import SluiceNet
import SluiceTestKit
import Synchronization
import Testing

@testable import ParquetConnector

/// How the sink sets a bucket up, looked at through another client.
@Suite(.bucket, .enabled(if: TestServices.hasS3, "moto is not there: scripts/setup --test")) struct BucketSettingsTests {
    private let id = StreamID(pipeline: "p", chainID: 1)
    private let settings = BucketSettings(
        versioning: true, warm: .init(days: 30, storageClass: "STANDARD_IA"), cold: .init(days: 365, storageClass: "GLACIER"),
        oldVersionDays: 30, unfinishedDays: 7)

    private static let client = """
        import sys, json, boto3
        s3 = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id=sys.argv[2], aws_secret_access_key=sys.argv[3])
        bucket = sys.argv[4].split("/")[0]

        """

    /// A bucket of a test's own, since rules are a bucket's.
    private func made(_ name: String, _ more: String = "") throws -> Bucket {
        let bucket = try Bucket(name)
        try bucket.python(Self.client + "s3.create_bucket(Bucket=bucket)\n" + more)
        return bucket
    }

    private func sink(_ bucket: Bucket, _ folder: String, _ settings: BucketSettings, retention: Int? = nil) -> ParquetSink {
        let options = bucket.options {
            ($0.bucket, $0.prefix, $0.settings) = (bucket.prefix, "lake/ünd & <mehr>", settings)
        }
        return ParquetSink(
            ParquetSinkOptions(directory: folder, blocksPerFile: 4, bucket: options, retentionDays: retention), segments: bucket.segments)
    }

    /// All rules as boto3 reads them, a line each, sorted.
    private func rules(_ bucket: Bucket) throws -> [String] {
        try bucket.python(
            Self.client + """
                for rule in sorted(s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"], key=lambda r: r["ID"]):
                    own = rule["ID"].startswith("sluice-")
                    print("sluice" if own else rule["ID"], rule["Filter"].get("Prefix", "-"), rule["Status"],
                        [(t["Days"], t["StorageClass"]) for t in rule.get("Transitions", [])], rule.get("Expiration", {}).get("Days"),
                        rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays"),
                        rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation"), sep="|")
                """
        ).split(separator: "\n").map(String.init)
    }

    @Test("versions are switched on and rules set, beside those that are there; a second start writes nothing")
    func applied() async throws {
        let bucket = try made(
            "settings-applied",
            """
            s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [
                {"ID": "theirs", "Filter": {"Prefix": "x & y/"}, "Status": "Disabled", "Expiration": {"Days": 3}}]})
            """)
        try await withFolder { folder in
            let theirs = "theirs|x & y/|Disabled|[]|3|None|None"
            let root = "lake/ünd & <mehr>"
            let steps = "[(30, 'STANDARD_IA'), (365, 'GLACIER')]"
            let expected = { (age: String) in
                [
                    "sluice|\(root)/_manifests/1/|Enabled|[]|None|30|7", "sluice|\(root)/_temporary/1/|Enabled|[]|None|30|7",
                    "sluice|\(root)/blocks/chain_id=1/|Enabled|\(steps)|\(age)|30|7",
                    "sluice|\(root)/logs/chain_id=1/|Enabled|\(steps)|\(age)|30|7", theirs,
                ]
            }
            for _ in 0..<2 {
                let stream = try await sink(bucket, folder, settings, retention: 99_999).open(id, tables: SmallChain.schemas)
                if try await stream.coverage().isEmpty { _ = try await stream.write(SmallChain.batch(0...3)) }
                #expect(try rules(bucket) == expected("100000"))
            }
            let found = try bucket.python(
                Self.client + """
                    print(s3.get_bucket_versioning(Bucket=bucket)["Status"], len(s3.list_object_versions(Bucket=bucket)["Versions"]))
                    """)
            #expect(found == "Enabled 3\n")
            // What is asked for changes: ours change, and only they.
            _ = try await sink(bucket, folder, settings).open(id, tables: SmallChain.schemas)
            #expect(try rules(bucket) == expected("None"))
            // Nothing is asked for: nothing is touched.
            _ = try await sink(bucket, folder, BucketSettings()).open(id, tables: SmallChain.schemas)
            #expect(try rules(bucket) == expected("None"))
        }
    }

    @Test("a bucket that nothing is asked of is left as it is")
    func untouched() async throws {
        let bucket = try made("settings-untouched")
        try await withFolder { folder in
            _ = try await sink(bucket, folder, BucketSettings()).open(id, tables: SmallChain.schemas)
            let found = try bucket.python(
                Self.client + """
                    print(s3.get_bucket_versioning(Bucket=bucket).get("Status"))
                    try: print(s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"])
                    except Exception as e: print(e.response["Error"]["Code"])
                    """)
            #expect(found == "None\nNoSuchLifecycleConfiguration\n")
        }
    }

    @Test("rows older than the retention go with their files, the bucket's rule may have been first, and the blocks count as held")
    func retention() async throws {
        let bucket = try Bucket("retention")
        try await withFolder { folder in
            let day = Mutex(Int64(19_675))  // 2023-11-14 is day 19,675, on which all of these blocks were made.
            let make = { (name: String) in
                ParquetSink(
                    ParquetSinkOptions(directory: "\(folder)/\(name)", blocksPerFile: 4, bucket: bucket.options(), retentionDays: 10),
                    segments: bucket.segments, now: { day.withLock { $0 } * 86_400 })
            }
            let stream = try await make("a").open(id, tables: SmallChain.schemas)
            _ = try await stream.write(SmallChain.batch(0...11))
            try bucket.expect(Array(0...11))
            // Another hand is first, on the first day on which the rows are too old: no error, but not a day earlier.
            try bucket.python(
                """
                import sys, boto3
                s3 = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id=sys.argv[2], aws_secret_access_key=sys.argv[3])
                s3.delete_object(Bucket="sluice", Key=sys.argv[4] + "/logs/chain_id=1/date=2023-11-14/logs_000000000004_000000000007.parquet")
                """)
            day.withLock { $0 = 19_685 }
            await #expect {
                _ = try await make("b").open(id, tables: SmallChain.schemas)
            } throws: {
                ($0 as? SluiceError)?.message.contains("logs_000000000004_000000000007.parquet is missing") == true
            }
            day.withLock { $0 = 19_686 }
            let next = try await make("c").open(id, tables: SmallChain.schemas)
            #expect(try await next.coverage() == [SmallChain.segment(0...11)])
            #expect(try bucket.look().objects.keys.allSatisfy { $0.hasPrefix("_manifests/") })
            _ = try await next.write(SmallChain.batch(12...15))
            #expect(try await make("d").open(id, tables: SmallChain.schemas).coverage() == [SmallChain.segment(0...15)])
            #expect(try bucket.look().blocks.isEmpty)
        }
    }
}

/// What servers answer that cannot do, or will not.
@Suite struct BucketSettingsAnswerTests {
    private static let rules = BucketSettings(oldVersionDays: 3).rules("p", chainID: 1, tables: ["t"], retention: nil)

    private func apply(_ server: ScriptedServer, _ rules: [LifecycleRule] = rules) async throws {
        let client = BucketClient(
            BucketOptions(bucket: "b", prefix: "p", endpoint: server.url, accessKey: "k", secretKey: "hunter2", retryBudget: .zero),
            http: try HTTPClient())
        try await onThread {
            try client.apply(rules, insteadOf: BucketSettings.start("p", chainID: 1)) { _ in "digest" }
            try client.keepVersions()
        }
    }

    @Test("a refusal is one error that says what is asked for, and what mends it")
    func refusals() async throws {
        let cases: [(Int, String, SluiceError.Class, String)] = [
            (403, "AccessDenied", .pause, "s3:PutLifecycleConfiguration"), (501, "NotImplemented", .config, "leave versioning"),
            (501, "", .config, "leave versioning"), (405, "MethodNotAllowed", .config, "leave versioning"),
            (400, "InvalidArgument", .config, "warm_class"), (404, "NoSuchBucket", .config, "make the bucket"),
        ]
        for (status, code, kind, said) in cases {
            let server = try ScriptedServer { _ in
                .response(status, body: Array("<Error><Code>\(code)</Code><Message>because</Message></Error>".utf8))
            }
            await #expect { try await self.apply(server) } throws: {
                let error = $0 as? SluiceError
                return error?.class == kind && error?.mend?.contains(said) == true
            }
        }
    }

    @Test("rules go with the digest that servers ask for, and one that the server does not keep is an error")
    func forgotten() async throws {
        let bodies = Mutex<[String]>([])
        let server = try ScriptedServer { request in
            if request.method == "PUT" {
                #expect(request.headers["content-md5"] == "digest")
                bodies.withLock { $0.append(String(decoding: request.body, as: UTF8.self)) }
                return .response()
            }
            return .response(body: Array("<LifecycleConfiguration></LifecycleConfiguration>".utf8))
        }
        await #expect { try await self.apply(server) } throws: { ($0 as? SluiceError)?.message.contains("keeps another one") == true }
        #expect(bodies.withLock { $0.count == 1 && $0[0].contains("<NoncurrentDays>3</NoncurrentDays>") })
    }
}
