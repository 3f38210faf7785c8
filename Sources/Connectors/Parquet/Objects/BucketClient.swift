import Glibc
import SluiceConfig
import SluiceCore
import SluiceNet

/// Requests to a bucket. Every call blocks until it is answered: for threads that may wait, never for a task of the pool.
final class BucketClient: Sendable {
    let options: BucketOptions
    private let http: HTTPClient
    private let time: TimeSource
    /// Seconds since 1970.
    private let now: @Sendable () -> Int64
    private let signature: Signature

    init(
        _ options: BucketOptions, http: HTTPClient, time: TimeSource = .live,
        now: @escaping @Sendable () -> Int64 = { Int64(Glibc.time(nil)) }
    ) {
        self.options = options
        self.http = http
        self.time = time
        self.now = now
        signature = Signature(
            accessKey: options.accessKey, secretKey: options.secretKey, sessionToken: options.sessionToken, region: options.region)
    }

    // MARK: - Objects

    /// All objects whose names begin so, and their sizes; names without the sink's prefix.
    func list(_ start: String) throws -> [(path: String, bytes: Int)] {
        var found: [(path: String, bytes: Int)] = []
        var token: String?
        repeat {
            var query = [("list-type", "2"), ("prefix", options.key(start)), ("encoding-type", "url")]
            if let token { query.append(("continuation-token", token)) }
            let page = try text("GET", query: query, doing: "listing \(options.shown)")
            for object in XMLText.elements("Contents", in: page) {
                guard let path = XMLText.value("Key", in: object).flatMap(decoded).flatMap(own),
                    let bytes = XMLText.value("Size", in: object).flatMap({ Int($0) })
                else { throw strange("listing \(options.shown)", page) }
                found.append((path, bytes))
            }
            token = XMLText.value("IsTruncated", in: page) == "true" ? XMLText.value("NextContinuationToken", in: page) : nil
            if token == nil, XMLText.value("IsTruncated", in: page) == "true" { throw strange("listing \(options.shown)", page) }
        } while token != nil
        return found
    }

    func get(_ path: String) throws -> Buffer { try request("GET", path, doing: "reading \(shown(path))") }

    /// Several at a time; `body` is called for each as it comes, in any order, one after the other.
    func get(_ paths: [String], _ body: @escaping @Sendable (String, Buffer) throws -> Void) throws {
        try wait { [self] in
            try await withThrowingTaskGroup(of: (String, Buffer).self) { group in
                var left = paths[...]
                func next() {
                    guard let path = left.popFirst() else { return }
                    group.addTask { (path, try await self.send("GET", path, doing: "reading \(self.shown(path))")) }
                }
                for _ in 0..<16 { next() }
                while let (path, content) = try await group.next() {
                    try body(path, content)
                    next()
                }
            }
        }
    }

    /// Uploads a file; what is large goes in parts. The object is there whole or not at all.
    func put(_ file: String, as path: String) throws {
        let reader = try FileReader(file)
        let doing = "writing \(shown(path))"
        guard reader.count > 2 * options.partBytes else {
            _ = try request("PUT", path, body: try reader.read(0, reader.count), doing: doing)
            return
        }
        do {
            try putParts(reader, path, doing)
        } catch let error as SluiceError where error.message.contains("(NoSuchUpload,") {
            // The answer to the end of it was lost, and what was asked again found it done; or somebody gave it up. Once more is right for both.
            try putParts(reader, path, doing)
        }
    }

    private func putParts(_ reader: FileReader, _ path: String, _ doing: String) throws {
        let begun = try text("POST", path, query: [("uploads", "")], doing: doing)
        guard let upload = XMLText.value("UploadId", in: begun) else { throw strange(doing, begun) }
        do {
            var sizes: [Int] = []
            for start in stride(from: 0, to: reader.count, by: options.partBytes) {
                let part = try reader.read(start, min(options.partBytes, reader.count - start))
                sizes.append(part.count)
                _ = try request("PUT", path, query: [("partNumber", "\(sizes.count)"), ("uploadId", upload)], body: part, doing: doing)
            }
            let tags = try parts(path, upload, sizes, doing)
            let list = tags.enumerated().map { "<Part><PartNumber>\($0 + 1)</PartNumber><ETag>\($1)</ETag></Part>" }.joined()
            let body = "<CompleteMultipartUpload>\(list)</CompleteMultipartUpload>"
            let done = try text("POST", path, query: [("uploadId", upload)], body: Array(body.utf8), doing: doing)
            guard XMLText.value("ETag", in: done) != nil else { throw strange(doing, done) }
        } catch {
            try? abort(path, upload)
            throw error
        }
    }

    /// Copies an object within the bucket.
    func copy(_ path: String, to other: String) throws {
        let source = "/" + Signature.encoded("\(options.bucket)/\(options.key(path))", slashes: true)
        let doing = "renaming \(shown(path)) to \(other)"
        let answer = try text("PUT", other, headers: [("x-amz-copy-source", source)], doing: doing)
        guard XMLText.value("ETag", in: answer) != nil else { throw strange(doing, answer) }
    }

    /// Removes an object; that there is none is well.
    func remove(_ path: String) throws { _ = try request("DELETE", path, doing: "removing \(shown(path))") }

    /// Gives up uploads that were begun and not ended, of objects whose names begin so. Returns how many. Where the server does not list them,
    /// or not for this key, a rule of the bucket has to see to them.
    func abortUploads(_ start: String) throws -> Int {
        let page: String
        do {
            page = try text(
                "GET", query: [("uploads", ""), ("prefix", options.key(start)), ("encoding-type", "url")],
                doing: "listing uploads to \(options.shown)")
        } catch let error as SluiceError where error.message.contains("(AccessDenied,") || error.message.contains("(NotImplemented,") {
            return 0
        }
        let uploads = XMLText.elements("Upload", in: page)
        let isEncoded = XMLText.value("EncodingType", in: page) == "url"
        for upload in uploads {
            // A server that does not know of encoding gives names as they are.
            let name = XMLText.value("Key", in: upload).flatMap { isEncoded ? decoded($0) : $0 }
            guard let path = name.flatMap(own), let id = XMLText.value("UploadId", in: upload) else { continue }
            try abort(path, id)
        }
        return uploads.count
    }

    private func abort(_ path: String, _ upload: String) throws {
        _ = try request("DELETE", path, query: [("uploadId", upload)], doing: "giving up the upload of \(shown(path))")
    }

    /// What the server says of the parts, which must be all, and whole.
    private func parts(_ path: String, _ upload: String, _ sizes: [Int], _ doing: String) throws -> [String] {
        var found: [Int: String] = [:]
        var marker = "0"
        while true {
            let page = try text("GET", path, query: [("uploadId", upload), ("part-number-marker", marker)], doing: doing)
            for part in XMLText.elements("Part", in: page) {
                guard let number = XMLText.value("PartNumber", in: part).flatMap({ Int($0) }), let tag = XMLText.value("ETag", in: part),
                    let size = XMLText.value("Size", in: part).flatMap({ Int($0) }), sizes.indices.contains(number - 1),
                    sizes[number - 1] == size
                else { throw strange(doing, page) }
                found[number] = tag.replacing("\"", with: "&quot;")
            }
            guard XMLText.value("IsTruncated", in: page) == "true", let next = XMLText.value("NextPartNumberMarker", in: page),
                next != marker
            else { break }
            marker = next
        }
        let tags = sizes.indices.compactMap { found[$0 + 1] }
        guard tags.count == sizes.count else { throw strange(doing, "\(tags.count) parts of \(sizes.count)") }
        return tags
    }

    // MARK: - Requests

    func text(
        _ method: String, _ path: String? = nil, query: [(String, String)] = [], headers: [(String, String)] = [], body: [UInt8]? = nil,
        doing: String
    ) throws -> String {
        let answer = try request(method, path, query: query, headers: headers, body: body, doing: doing)
        let text = withExtendedLifetime(answer) { String(decoding: answer.bytes, as: UTF8.self) }
        // Long operations begin their answer before they know how they end.
        if text.contains("<Error>") { throw BucketFault.error(200, text, doing: doing) }
        return text
    }

    func request(
        _ method: String, _ path: String?, query: [(String, String)] = [], headers: [(String, String)] = [], body: [UInt8]? = nil,
        doing: String
    ) throws -> Buffer {
        try wait { [self] in try await send(method, path, query: query, headers: headers, body: body, doing: doing) }
    }

    /// Sends a request, and again while that may help. Everything that is asked here may be done twice.
    private func send(
        _ method: String, _ path: String?, query: [(String, String)] = [], headers: [(String, String)] = [], body: [UInt8]? = nil,
        doing: String
    ) async throws -> Buffer {
        let (scheme, host) = origin
        let object = path.map { Signature.encoded(options.key($0), slashes: true) }
        let place =
            (options.pathStyle ? "/\(Signature.encoded(options.bucket))" : "") + (object.map { "/\($0)" } ?? (options.pathStyle ? "" : "/"))
        let payload = SHA256.hash(body ?? [])
        let asked = Signature.canonical(query)
        let policy = RetryPolicy(attempts: 1_000, budget: options.retryBudget)
        var limits = HTTPLimits()
        limits.total = .seconds(900)
        limits.responseBytes = 2 << 30
        limits.firstByte = .seconds(300)
        let start = time.now()
        var random = SystemRandomNumberGenerator()
        var failures = 0
        while true {
            let failed: (error: SluiceError, wait: Duration?)
            do {
                let signed = signature.headers(
                    method, host: host, path: place, query: query, headers: headers, payload: payload, at: now())
                let isEmptyBody = body == nil && (method == "PUT" || method == "POST")
                let answer = try await http.send(
                    HTTPRequest(
                        method: method, url: "\(scheme)://\(host)\(place)" + (asked.isEmpty ? "" : "?\(asked)"),
                        headers: signed + [(name: "Content-Type", value: "application/octet-stream")], body: isEmptyBody ? [] : body,
                        limits: limits))
                if (200...299).contains(answer.status) { return answer.body }
                let text = String(answer.text.prefix(8192))
                let error = BucketFault.error(answer.status, text, doing: doing)
                guard error.class == .retry else { throw error }
                failed = (error, policy.delay(retryAfter: answer.retryAfter, date: answer.date))
            } catch let failure as HTTPFailure {
                if failure.phase == .cancelled { throw CancellationError() }
                failed = (BucketFault.error(failure, doing: doing), nil)
            }
            failures += 1
            guard let delay = policy.delay(afterFailures: failures, elapsed: time.now() - start, random: &random) else {
                throw failed.error
            }
            try await time.sleep(failed.wait ?? delay)
        }
    }

    /// Scheme, and host as it is signed: the port only when it is not the scheme's own.
    private var origin: (scheme: String, host: String) {
        let parts = options.endpoint.split(separator: "://", maxSplits: 1)
        let scheme = parts.count > 1 ? String(parts[0]) : "https"
        var host = String(parts.last ?? "")
        for (own, port) in [("https", ":443"), ("http", ":80")] where own == scheme && host.hasSuffix(port) { host.removeLast(port.count) }
        return (scheme, options.pathStyle ? host : "\(options.bucket).\(host)")
    }

    /// Runs what awaits, and blocks the calling thread until it has ended.
    private func wait<R: Sendable>(_ body: @escaping @Sendable () async throws -> R) throws -> R {
        let slot = Slot<Result<R, any Error>>()
        Task.detached { slot.fill(await Result { try await body() }) }
        return try slot.take().get()
    }

    // MARK: - Names

    private func shown(_ path: String) -> String { "\(options.shown)/\(path)" }

    private func decoded(_ text: String) -> String? {
        var out: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == 0x2B {
                out.append(0x20)
            } else if byte == 0x25 {
                guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else { return nil }
                rest.removeFirst(2)
                out.append(value)
            } else {
                out.append(byte)
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// A name without the sink's prefix.
    private func own(_ key: String) -> String? {
        if options.prefix.isEmpty { return key }
        return key.hasPrefix(options.prefix + "/") ? String(key.dropFirst(options.prefix.count + 1)) : nil
    }

    func strange(_ doing: String, _ answer: String) -> SluiceError {
        SluiceError(
            .bucketFailed, .pause, "\(doing): the server gives an answer that makes no sense", mend: "check that the endpoint speaks S3",
            detail: String(answer.prefix(2000)))
    }
}

extension Result where Failure == any Error {
    init(_ body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}
