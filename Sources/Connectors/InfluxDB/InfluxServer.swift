import SluiceConfig
import SluiceCore
import SluiceNet
import SluiceTelemetry

/// What is asked of the server, in the words of either version.
struct InfluxServer: Sendable {
    let options: InfluxSinkOptions
    let interface: InfluxSinkOptions.Interface
    let http: HTTPClient
    let time: TimeSource
    let log: Log
    /// How many requests with rows go at once.
    let gate: RequestGate

    var shown: String {
        switch interface {
        case .database(let name, _): "database \(name) at \(options.shown)"
        case .bucket(let name, _): "bucket \(name) at \(options.shown)"
        }
    }

    /// Whether it takes numbers without sign. InfluxDB 1 does not, as it is built.
    var hasUnsigned: Bool { if case .bucket = interface { true } else { false } }

    // MARK: - At open

    /// Makes sure that the server is there, lets us in and has the database or bucket; makes a database. Warns when points will be forgotten.
    /// - Parameter rollups: what is to be summed up by itself.
    func prepare(_ rollups: [InfluxRollup] = []) async throws {
        let answer = try await request("GET", "/ping", [], doing: "looking for influxdb at \(options.shown)")
        guard (200...299).contains(answer.status) else {
            throw InfluxFault.error(answer.status, InfluxFault.reason(answer), doing: "looking for influxdb at \(options.shown)")
        }
        switch interface {
        case .database(let name, let policy): try await prepare(database: name, policy, rollups)
        case .bucket(let name, let org):
            try await prepare(bucket: name, org)
            try await prepareTiers(bucket: name, org, rollups)
        }
    }

    private func prepare(database: String, _ policy: String?, _ rollups: [InfluxRollup]) async throws {
        let doing = "opening \(shown)"
        var answer = try await query("SHOW RETENTION POLICIES ON \(Self.identifier(database))", doing: doing)
        if let error = answer.error, error.contains("database not found") {
            guard options.createsDatabase else {
                throw SluiceError(
                    .influxRefused, .config, "\(doing): there is no such database", mend: "make it, or set create_database: true")
            }
            let made = try await query("CREATE DATABASE \(Self.identifier(database))", writes: true, doing: "making \(shown)")
            if let error = made.error { throw SluiceError(.influxRefused, .pause, "making \(shown): \(error)", mend: "make it by hand") }
            answer = try await query("SHOW RETENTION POLICIES ON \(Self.identifier(database))", doing: doing)
        }
        if let error = answer.error {
            // A user that may only write is not told.
            if error.contains("not authorized"), options.tiers.isEmpty, options.retention == nil { return }
            throw SluiceError(.influxRefused, .pause, "\(doing): \(error)", mend: "check the database")
        }
        // What is not InfluxDB itself may know no policies.
        guard !answer.rows.isEmpty else { return }
        if options.retention != nil || !options.tiers.isEmpty {
            try await prepareTiers(database, policy, rollups)
            answer = try await query("SHOW RETENTION POLICIES ON \(Self.identifier(database))", doing: doing)
        }
        let found = answer.rows.first { policy == nil ? $0["default"]?.flag == true : $0["name"]?.text == policy }
        guard let found else {
            throw SluiceError(
                .influxRefused, .config, "\(doing): it has no retention policy \(policy ?? "that is its own")",
                mend: "its policies are \(answer.rows.compactMap { $0["name"]?.text }.joined(separator: ", "))")
        }
        if let duration = found["duration"]?.text, duration != "0s" { warn(duration) }
    }

    private func prepare(bucket: String, _ org: String) async throws {
        let doing = "opening \(shown)"
        let answer = try await request("GET", "/api/v2/buckets", [("org", org), ("name", bucket)], doing: doing)
        let text = answer.text
        var reader = JSONTreeReader(text, reading: "the buckets", code: .influxFailed, remedy: "")
        let tree = try? reader.document()
        switch answer.status {
        case 200...299:
            guard let buckets = tree?["buckets"]?.items else { return }
            guard let own = buckets.first(where: { $0["name"]?.text == bucket }) else {
                throw SluiceError(
                    .influxRefused, .config, "\(doing): organisation \(org) has no such bucket", mend: "make it, or name another")
            }
            let seconds = own["retentionRules"]?.items?.compactMap { $0["everySeconds"]?.whole }.filter { $0 > 0 }.min()
            if let seconds { warn("\(seconds)s") }
        case 401: throw InfluxFault.error(answer.status, InfluxFault.reason(answer), doing: doing)
        // A token that may only write is not told; nor is whoever talks to what only takes writes of version 2.
        case 403: return
        default:
            // InfluxDB says it in JSON; another program does not know the question.
            if tree?["code"]?.text == "not found" { throw InfluxFault.error(404, InfluxFault.reason(answer), doing: doing) }
        }
    }

    private func warn(_ retention: String) {
        log.warning(
            "the store forgets old points: blocks that are older than its retention are refused or lost",
            ["store": "\(shown)", "retention": "\(retention)"])
    }

    // MARK: - Rows

    /// Lines as they go over the wire.
    struct Body: Sendable {
        let content: Buffer
        let isCompressed: Bool
    }

    func body(_ lines: UnsafeRawBufferPointer) -> Body {
        if options.compresses, let packed = Gzip.compress(lines) { return Body(content: Buffer(copying: packed), isCompressed: true) }
        return Body(content: Buffer(copying: lines), isCompressed: false)
    }

    /// Sends lines. Returns the server's reason when it does not take them as they are.
    func write(_ body: Body, doing: String) async throws -> String? {
        var headers = [(name: "Content-Type", value: "text/plain; charset=utf-8")]
        if body.isCompressed { headers.append((name: "Content-Encoding", value: "gzip")) }
        let (path, items): (String, [(String, String)]) =
            switch interface {
            case .database(let name, let policy): ("/write", [("db", name), ("precision", "ns")] + (policy.map { [("rp", $0)] } ?? []))
            case .bucket(let name, let org): ("/api/v2/write", [("org", org), ("bucket", name), ("precision", "ns")])
            }
        let answer = try await request("POST", path, items, headers: headers, content: body.content, doing: doing)
        switch InfluxFault.verdict(answer.status) {
        case .fine: return nil
        case .split: return InfluxFault.reason(answer)
        case .again, .refused: throw InfluxFault.error(answer.status, InfluxFault.reason(answer), doing: doing)
        }
    }

    /// Removes the points of some measurement and tags between two moments, both included.
    /// - Parameter tier: where they are; nil: where rows are.
    func delete(
        _ measurement: String, of tier: InfluxTier? = nil, _ tags: [(String, String)], _ range: ClosedRange<Int64>, doing: String
    ) async throws {
        switch interface {
        case .database:
            let filter = tags.map { " AND \(Self.identifier($0)) = \(Self.literal($1))" }.joined()
            let statement =
                "DELETE FROM \(Self.identifier(LineText.stored(measurement))) WHERE time >= \(range.lowerBound) AND time <= \(range.upperBound)\(filter)"
            if let error = try await query(statement, writes: true, doing: doing).error {
                throw SluiceError(.influxFailed, .pause, "\(doing): \(error)", mend: "give the user the right to delete")
            }
        case .bucket(let name, let org):
            let all = [("_measurement", LineText.stored(measurement))] + tags
            let predicate = all.map { "\($0)=\($1.jsonQuoted)" }.joined(separator: " AND ")
            let body =
                "{\"start\": \"\(InfluxTime.text(range.lowerBound))\", \"stop\": \"\(InfluxTime.text(range.upperBound))\", \"predicate\": \(predicate.jsonQuoted)}"
            let answer = try await request(
                "POST", "/api/v2/delete", [("org", org), ("bucket", tier.map { InfluxRollup.bucket(name, $0) } ?? name)],
                headers: [(name: "Content-Type", value: "application/json")],
                body: Array(body.utf8), doing: doing)
            guard !(200...299).contains(answer.status) else { return }
            throw InfluxFault.error(answer.status, InfluxFault.reason(answer), doing: doing)
        }
    }

    /// The moments at which a measurement has blocks of some numbers.
    func times(
        _ measurement: String, _ tags: [(String, String)], _ field: String, _ blocks: ClosedRange<UInt64>, doing: String
    ) async throws -> [(time: Int64, block: UInt64)] {
        let filter = tags.map { " AND \(Self.identifier($0)) = \(Self.literal($1))" }.joined()
        let column = Self.identifier(field)
        let answer = try await query(
            "SELECT \(column) FROM \(Self.identifier(LineText.stored(measurement))) WHERE \(column) >= \(blocks.lowerBound) AND \(column) <= \(blocks.upperBound)\(filter)",
            doing: doing)
        if let error = answer.error {
            throw SluiceError(.influxFailed, .pause, "\(doing): \(error)", mend: "give the user the right to read")
        }
        return answer.rows.compactMap { row in
            guard case .number(let time)? = row["time"]?.value, case .number(let block)? = row[field]?.value, let at = Int64(time),
                let number = UInt64(block)
            else { return nil }
            return (at, number)
        }
    }

    // MARK: - Requests

    struct Answer {
        var rows: [[String: JSONNode]] = []
        var error: String?
    }

    /// Asks in InfluxQL, which version 2 understands as well.
    func query(_ statement: String, writes: Bool = false, doing: String) async throws -> Answer {
        var items = [("q", statement), ("epoch", "ns")]
        switch interface {
        case .database(let name, let policy): items += [("db", name)] + (policy.map { [("rp", $0)] } ?? [])
        case .bucket(let name, _): items += [("db", name)]
        }
        let answer = try await request(writes ? "POST" : "GET", "/query", items, doing: doing)
        guard (200...299).contains(answer.status) else {
            throw InfluxFault.error(answer.status, InfluxFault.reason(answer), doing: doing)
        }
        let text = answer.text
        var reader = JSONTreeReader(
            text, reading: "an answer of \(options.shown)", code: .influxFailed, remedy: "see that the url is one of InfluxDB")
        let tree = try reader.document()
        var found = Answer()
        for result in tree["results"]?.items ?? [] {
            if let error = result["error"]?.text { found.error = error }
            for series in result["series"]?.items ?? [] {
                let columns = series["columns"]?.items?.compactMap(\.text) ?? []
                for values in series["values"]?.items ?? [] {
                    found.rows.append(Dictionary(zip(columns, values.items ?? []), uniquingKeysWith: { first, _ in first }))
                }
            }
        }
        return found
    }

    /// Sends a request, and again while that may help.
    func request(
        _ method: String, _ path: String, _ items: [(String, String)], headers: [(name: String, value: String)] = [], body: [UInt8]? = nil,
        content: Buffer? = nil, doing: String
    ) async throws -> HTTPResponse {
        var base = options.url.reveal()
        while base.hasSuffix("/") { base.removeLast() }
        let asked = items.map { "\(Self.percent($0))=\(Self.percent($1))" }.joined(separator: "&")
        var request = HTTPRequest(
            method: method, url: base + path + (asked.isEmpty ? "" : "?" + asked), headers: headers, body: body, content: content)
        if method == "POST", body == nil, content == nil { request.body = [] }
        request.limits.firstByte = options.timeout
        request.limits.total = options.timeout * 2
        if let authorization { request.headers.append((name: "Authorization", value: authorization)) }
        let policy = RetryPolicy(attempts: 1_000, budget: options.retryBudget)
        let start = time.now()
        var random = SystemRandomNumberGenerator()
        var failures = 0
        while true {
            let failed: (error: SluiceError, wait: Duration?)
            do {
                return try await once(request)
            } catch let busy as Busy {
                let error = InfluxFault.error(busy.answer.status, InfluxFault.reason(busy.answer), doing: doing)
                failed = (error, policy.delay(retryAfter: busy.answer.retryAfter, date: busy.answer.date))
            } catch let failure as HTTPFailure {
                if failure.phase == .cancelled { throw CancellationError() }
                failed = (InfluxFault.error(failure, doing: doing), nil)
            }
            failures += 1
            guard let delay = policy.delay(afterFailures: failures, elapsed: time.now() - start, random: &random) else {
                throw failed.error
            }
            try await time.sleep(failed.wait ?? delay)
        }
    }

    /// An answer that asks for another attempt.
    private struct Busy: Error { let answer: HTTPResponse }

    /// One attempt. Those that carry rows go through the gate: when the server has too much to do, fewer go at once.
    private func once(_ request: HTTPRequest) async throws -> HTTPResponse {
        let (http, request) = (http, request)
        @Sendable func ask() async throws -> HTTPResponse {
            let answer = try await http.send(request)
            if InfluxFault.verdict(answer.status) == .again { throw Busy(answer: answer) }
            return answer
        }
        guard let content = request.content else { return try await ask() }
        return try await gate.run(bytes: content.count, isCongestion: { _ in true }, ask)
    }

    private var authorization: String? {
        switch interface {
        case .bucket: return options.token.map { "Token \($0.reveal())" }
        case .database:
            if let token = options.token { return "Token \(token.reveal())" }
            guard let user = options.username else { return nil }
            return "Basic " + Base64.text(Array("\(user):\(options.password?.reveal() ?? "")".utf8))
        }
    }

    // MARK: - Words

    /// A name in InfluxQL.
    static func identifier(_ name: String) -> String { "\"" + escaped(name, "\"") + "\"" }
    /// A text in InfluxQL.
    static func literal(_ text: String) -> String { "'" + escaped(text, "'") + "'" }

    private static func escaped(_ text: String, _ quote: Character) -> String {
        text.map { $0 == "\\" || $0 == quote ? "\\\($0)" : $0 == "\n" ? "\\n" : String($0) }.joined()
    }

    /// A value of a query in a URL.
    static func percent(_ text: String) -> String {
        text.utf8.map { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: String(UnicodeScalar(byte))
            default: "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }.joined()
    }
}
