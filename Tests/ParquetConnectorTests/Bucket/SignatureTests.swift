import Foundation
import SluiceConfig
import SluiceCore
import Testing

@testable import ParquetConnector

/// Signatures against the examples that AWS has published, hashes against another program.
@Suite struct SignatureTests {
    /// "Signature calculations for the authorization header" in the documentation of S3: the key of all its examples.
    private let signature = Signature(
        accessKey: "AKIAIOSFODNN7EXAMPLE", secretKey: Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), sessionToken: nil,
        region: "us-east-1")

    struct Example: Sendable {
        let method: String
        var path = "/"
        var query: [(String, String)] = []
        var headers: [(String, String)] = []
        var body = ""
        let signature: String
    }

    @Test(
        "AWS's own examples",
        arguments: [
            Example(
                method: "GET", path: "/test.txt", headers: [("Range", "bytes=0-9")],
                signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
            Example(
                method: "PUT", path: "/test%24file.text",
                headers: [("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
                body: "Welcome to Amazon S3.", signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
            Example(
                method: "GET", query: [("lifecycle", "")],
                signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            Example(
                method: "GET", query: [("prefix", "J"), ("max-keys", "2")],
                signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
        ])
    func examples(_ example: Example) {
        let headers = signature.headers(
            example.method, host: "examplebucket.s3.amazonaws.com", path: example.path, query: example.query, headers: example.headers,
            payload: SHA256.hash(Array(example.body.utf8)), at: 1_369_353_600)
        let said = headers.first { $0.name == "Authorization" }?.value
        #expect(said?.hasSuffix("Signature=\(example.signature)") == true, "\(said ?? "")")
        #expect(headers.contains { $0.name == "x-amz-date" && $0.value == "20130524T000000Z" })
    }

    @Test("hashes of every length around a block, and moments, as another program has them")
    func hashes() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "python3", "-c",
            """
            import hashlib, hmac, time
            for n in list(range(200)) + [4096, 100003]:
                data = bytes(i * 7 & 255 for i in range(n))
                print(hashlib.sha256(data).hexdigest(), hmac.new(data, b"text %d" % n, "sha256").hexdigest(), time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(n * 86399 * 137)))
            """,
        ]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let lines = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self).split(separator: "\n")
        process.waitUntilExit()
        let counts = Array(0..<200) + [4096, 100_003]
        #expect(lines.count == counts.count)
        for (count, line) in zip(counts, lines) {
            let data = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 7) }
            let own = [
                SHA256.text(SHA256.hash(data)), SHA256.text(SHA256.hmac(data, "text \(count)")), Moment.text(Int64(count) * 86_399 * 137),
            ]
            #expect(own.joined(separator: " ") == line)
        }
    }

    @Test(
        "what a path names",
        arguments: [
            ("s3://bucket", "bucket", ""), ("s3://bucket/", "bucket", ""), ("s3://bucket/a/b/", "bucket", "a/b"),
        ])
    func paths(_ path: String, _ bucket: String, _ prefix: String) throws {
        let parsed = try #require(BucketOptions.parse(path))
        let options = BucketOptions(bucket: parsed.bucket, prefix: parsed.prefix, endpoint: "http://x", accessKey: "", secretKey: "")
        #expect(options.bucket == bucket && options.prefix == prefix)
        #expect(options.key("f") == (prefix.isEmpty ? "f" : prefix + "/f"))
        #expect(BucketOptions.parse("data/lake") == nil)
    }
}
