import Foundation
import SluiceCatalog
import SluiceConfig
import SluiceCore
import SluiceStore
import SluiceTestKit
import Testing

/// What a sink is told of a store that does not let it in.
struct Refusal: Sendable, CustomTestStringConvertible {
    let type: String
    let what: String
    /// What the configuration says; names of variables of `scripts/services` stand in braces, `%` for a folder.
    let yaml: String
    let classes: Set<SluiceError.Class>
    /// Words that the error must have.
    let says: String
    /// Servers that must run.
    var servers: [String] = []

    var testDescription: String { "\(type): \(what)" }

    static let all: [Refusal] = files + databases + others

    private static let files: [Refusal] = [
        Refusal(
            type: "duckdb", what: "a file that is none of DuckDB's", yaml: "path: \"%/text\"", classes: [.config], says: "/text"),
        Refusal(type: "duckdb", what: "a folder that cannot be made", yaml: "path: \"%/text/x.duckdb\"", classes: [.pause], says: "/text"),
        Refusal(type: "parquet", what: "a folder that cannot be made", yaml: "path: \"%/text/lake\"", classes: [.pause], says: "/text"),
        Refusal(type: "csv", what: "a folder that cannot be made", yaml: "path: \"%/text/files\"", classes: [.pause], says: "/text"),
        Refusal(type: "jsonl", what: "a folder that cannot be made", yaml: "path: \"%/text/files\"", classes: [.pause], says: "/text"),
    ]

    private static let databases: [Refusal] = [
        Refusal(
            type: "postgres", what: "a user that is not known", yaml: "url: \"{SLUICE_TEST_POSTGRES|sluice@|nobody:hunter2@}\"",
            classes: [.pause], says: "\"nobody\" does not exist", servers: ["postgres"]),
        Refusal(
            type: "postgres", what: "a user that may not make tables",
            yaml: "url: \"{SLUICE_TEST_POSTGRES|sluice@|poor:hunter2@}\"\nschema: poor",
            classes: [.pause], says: "permission denied", servers: ["postgres"]),
        Refusal(
            type: "postgres", what: "a server of another kind",
            yaml: "url: \"{SLUICE_TEST_REDIS|redis://|postgresql://sluice:hunter2@}/sluice\"", classes: [.retry, .pause, .config],
            says: "127.0.0.1", servers: ["postgres", "redis"]),
        Refusal(
            type: "clickhouse", what: "a wrong password", yaml: "url: \"{SLUICE_TEST_CLICKHOUSE}\"\nuser: reader\npassword: hunter2",
            classes: [.pause], says: "check the sink's user and password", servers: ["clickhouse"]),
        Refusal(
            type: "clickhouse", what: "a user that may only read",
            yaml: "url: \"{SLUICE_TEST_CLICKHOUSE}\"\nuser: reader\npassword: readonly",
            classes: [.pause], says: "may write", servers: ["clickhouse"]),
        Refusal(
            type: "clickhouse", what: "a server of another kind", yaml: "url: \"{SLUICE_TEST_INFLUXDB}\"\npassword: hunter2",
            classes: [.retry, .pause, .config], says: "127.0.0.1", servers: ["clickhouse", "influxdb"]),
        Refusal(
            type: "influxdb", what: "a version 1 that is spoken to as version 2",
            yaml: "url: \"{SLUICE_TEST_INFLUXDB}\"\nbucket: chain\norg: main\ntoken: hunter2\nretry_budget: 0s",
            classes: [.config, .pause],
            says: "127.0.0.1", servers: ["influxdb"]),
        Refusal(
            type: "influxdb", what: "a server of another kind",
            yaml: "url: \"{SLUICE_TEST_S3}\"\ndatabase: chain\npassword: hunter2\nretry_budget: 0s", classes: [.retry, .pause, .config],
            says: "127.0.0.1", servers: ["influxdb", "s3"]),
    ]

    private static let others: [Refusal] = [
        Refusal(
            type: "redis", what: "a wrong password", yaml: "url: \"{SLUICE_TEST_REDIS|redis://|redis://poor:hunter2@}\"",
            classes: [.config],
            says: "WRONGPASS", servers: ["redis"]),
        Refusal(
            type: "redis", what: "a user that may do nothing", yaml: "url: \"{SLUICE_TEST_REDIS|redis://|redis://poor:right@}\"",
            classes: [.config, .pause], says: "NOPERM", servers: ["redis"]),
        Refusal(
            type: "redis", what: "a server of another kind", yaml: "url: \"{SLUICE_TEST_S3|http://|redis://:hunter2@}\"\nreply_timeout: 2s",
            classes: [.retry, .pause, .config], says: "127.0.0.1", servers: ["redis", "s3"]),
        Refusal(
            type: "kafka", what: "a server of another kind", yaml: "brokers: \"{SLUICE_TEST_REDIS|redis://|}\"\ntimeout: 2s",
            classes: [.retry, .pause, .config], says: "127.0.0.1", servers: ["kafka", "redis"]),
        Refusal(
            type: "parquet", what: "a bucket and a wrong key", yaml: bucket("sluice", "{SLUICE_TEST_S3_KEY}", "hunter2"),
            classes: [.pause, .config],
            says: "s3://sluice", servers: ["s3"]),
        Refusal(
            type: "parquet", what: "a bucket that is not there", yaml: bucket("nothing", "{SLUICE_TEST_S3_KEY}", "{SLUICE_TEST_S3_SECRET}"),
            classes: [.pause, .config], says: "s3://nothing", servers: ["s3"]),
        Refusal(
            type: "parquet", what: "a bucket, and a key without rights", yaml: bucket("sluice", "{POOR_KEY}", "{POOR_SECRET}"),
            classes: [.pause, .config], says: "s3://sluice", servers: ["s3"]),
    ]

    private static func bucket(_ name: String, _ key: String, _ secret: String) -> String {
        "path: \"s3://\(name)/refused\"\nendpoint: \"{SLUICE_TEST_S3}\"\naccess_key: \"\(key)\"\nsecret_key: \"\(secret)\"\nspool: \"%/spool\""
    }

    /// The configuration with what the variables say: `{NAME}`, or `{NAME|this|that}` with that in the place of this.
    func filled(_ variables: [String: String], folder: String) throws -> String {
        var text = yaml.replacing("%", with: folder)
        while let found = text.firstMatch(of: /\{([A-Z_0-9]+)(?:\|([^|}]*)\|([^}]*))?\}/) {
            var value = try #require(variables[String(found.1)])
            if let this = found.2, let that = found.3 { value = value.replacing(String(this), with: String(that)) }
            text.replaceSubrange(found.range, with: value)
        }
        return text
    }

    /// Users who may do little, on the servers that run.
    static func poorUsers(_ variables: [String: String]) throws -> [String: String] {
        var variables = variables
        if let url = variables["SLUICE_TEST_POSTGRES"] {
            let sql = "DO $$ BEGIN CREATE ROLE poor LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
            _ = try Command.output(["psql", "-X", "-q", url, "-c", sql])
        }
        if let port = variables["SLUICE_TEST_REDIS"]?.split(separator: ":").last {
            _ = try Command.output(["redis-cli", "-p", "\(port)", "ACL", "SETUSER", "poor", "on", ">right", "+ping"])
        }
        if let url = variables["SLUICE_TEST_S3"] {
            let script = """
                import sys, boto3
                iam = boto3.client("iam", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id=sys.argv[2], aws_secret_access_key=sys.argv[3])
                try: iam.create_user(UserName="poor")
                except iam.exceptions.EntityAlreadyExistsException: pass
                key = iam.create_access_key(UserName="poor")["AccessKey"]
                print(key["AccessKeyId"], key["SecretAccessKey"])
                """
            let said = try Command.output(
                ["PYTHONPATH=" + Reader.packages, "python3.11", "-B", "-c", script, url]
                    + [variables["SLUICE_TEST_S3_KEY"] ?? "", variables["SLUICE_TEST_S3_SECRET"] ?? ""])
            let words = String(decoding: said, as: UTF8.self).split { $0.isWhitespace }.map(String.init)
            (variables["POOR_KEY"], variables["POOR_SECRET"]) = (words.first, words.last)
        }
        return variables
    }
}

extension Conformance {
    /// Made once for all cases, while the servers run.
    private static let variables = Result { try Refusal.poorUsers(Servers.services?.variables ?? [:]) }
    private static let refusals = Refusal.all.filter { $0.servers.allSatisfy(Described.servers.contains) }

    @Test(
        "who is not let in, or meets something else than a store of its kind, says so in one clear error without secrets",
        arguments: refusals)
    func refused(_ refusal: Refusal) async throws {
        try await withFolder { folder in
            let variables = try Self.variables.get()
            try "text\n".write(toFile: folder + "/text", atomically: true, encoding: .utf8)
            let connector = try #require(Catalog.sink(refusal.type))
            let text = try refusal.filled(variables, folder: folder)
            let options = try ConfigDocument.decode(text: text, file: refusal.type, spec: connector.spec)
            let store = try await StateStore.open("\(folder)/state")
            let sink = connector.make("s", options, store)
            var failure: SluiceError?
            do {
                let stream = try await sink.open(StreamID(pipeline: "p", chainID: 1), tables: SmallChain.schemas)
                _ = try await stream.write(SmallChain.batch(1...3))
                _ = try await stream.finish()
            } catch let error as SluiceError { failure = error }
            await sink.close()
            await store.close()
            let error = try #require(failure, "\(refusal.testDescription): it was let in")
            #expect(refusal.classes.contains(error.class), "\(refusal.testDescription): \(error.debugDescription)")
            #expect("\(error)".contains(refusal.says), "\(refusal.testDescription): \(error.debugDescription)")
            #expect(error.mend != nil, "\(refusal.testDescription): \(error.debugDescription)")
            for secret in ["hunter2", variables["POOR_SECRET"] ?? "hunter2"] {
                #expect(!error.debugDescription.contains(secret), "\(refusal.testDescription): \(error.debugDescription)")
            }
        }
    }
}
