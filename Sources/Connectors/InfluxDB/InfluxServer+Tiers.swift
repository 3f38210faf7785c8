import SluiceCore
import SluiceNet

// Stores of sums: made when the sink opens, filled as rows come.
extension InfluxServer {
    // MARK: - InfluxDB 1

    /// Makes retention policies, or changes how long they keep what they have; no point is touched by that. Then the queries that the server runs by
    /// itself: those that are as they should be are left alone.
    func prepareTiers(_ database: String, _ policy: String?, _ rollups: [InfluxRollup]) async throws {
        var wanted = options.tiers.map { ($0.name, $0.retention.components.seconds) }
        if let retention = options.retention, let policy { wanted.append((policy, retention.components.seconds)) }
        guard !wanted.isEmpty else { return }
        let name = Self.identifier(database)
        let found = try await asked("SHOW RETENTION POLICIES ON \(name)", writes: false, doing: "opening \(shown)")
        for (policy, seconds) in wanted {
            let own = found.first { $0["name"]?.text == policy }
            let statement = "RETENTION POLICY \(Self.identifier(policy)) ON \(name) DURATION \(InfluxRollup.text(seconds: seconds))"
            if own == nil {
                _ = try await asked("CREATE \(statement) REPLICATION 1", doing: "making retention policy \(policy) in \(shown)")
            } else if own?["duration"]?.text.flatMap(Self.seconds) != seconds {
                _ = try await asked("ALTER \(statement)", doing: "changing retention policy \(policy) in \(shown)")
            }
        }
        if rollups.isEmpty { return }
        let queries = try await asked("SHOW CONTINUOUS QUERIES", writes: false, doing: "looking for continuous queries of \(shown)")
        for rollup in rollups {
            let (query, statement) = rollup.continuousQuery(database, policy)
            // Queries of other databases may have the same name, and then another text.
            let own = queries.filter { $0["name"]?.text == query }.compactMap { $0["query"]?.text }
            if own.contains(where: { InfluxRollup.isSame($0, statement) }) { continue }
            let doing = "making continuous query \(query) in \(shown)"
            if !own.isEmpty { _ = try await asked("DROP CONTINUOUS QUERY \(Self.identifier(query)) ON \(name)", doing: doing) }
            _ = try await asked(statement, doing: doing)
        }
    }

    /// Rows of a statement that must succeed.
    private func asked(_ statement: String, writes: Bool = true, doing: String) async throws -> [[String: JSONNode]] {
        let answer = try await query(statement, writes: writes, doing: doing)
        guard let error = answer.error else { return answer.rows }
        throw SluiceError(
            .influxRefused, .pause, "\(doing): \(error)", mend: "give the user all rights on the database, or leave retention and tiers out"
        )
    }

    /// A duration as InfluxDB shows it: `720h0m0s`.
    static func seconds(_ text: String) -> Int64? {
        var total: Int64 = 0
        var number: Int64?
        for character in text {
            if let digit = character.wholeNumberValue {
                number = (number ?? 0) * 10 + Int64(digit)
            } else {
                guard let factor = ["h": 3600, "m": 60, "s": 1][character], let own = number else { return nil }
                total += own * Int64(factor)
                number = nil
            }
        }
        return number == nil ? total : nil
    }

    // MARK: - InfluxDB 2

    /// Makes buckets, or changes how long they keep what they have, then the tasks that the server runs by itself.
    func prepareTiers(bucket: String, _ org: String, _ rollups: [InfluxRollup]) async throws {
        var wanted = options.tiers.map { (InfluxRollup.bucket(bucket, $0), $0.retention.components.seconds) }
        if let retention = options.retention { wanted.append((bucket, retention.components.seconds)) }
        guard !wanted.isEmpty else { return }
        let doing = "opening \(shown)"
        let own = try await tree("GET", "/api/v2/buckets", [("org", org), ("name", bucket)], doing: doing)["buckets"]?.items?.first
        guard let organisation = own?["orgID"]?.text else {
            throw SluiceError(
                .influxRefused, .pause, "\(doing): the server does not say which organisation the bucket is of",
                mend: "give the token the right to read buckets, or leave retention and tiers out")
        }
        for (name, seconds) in wanted {
            let found = try await tree("GET", "/api/v2/buckets", [("org", org), ("name", name)], doing: doing)["buckets"]?.items?
                .first { $0["name"]?.text == name }
            let rules = "\"retentionRules\": [{\"type\": \"expire\", \"everySeconds\": \(seconds)}]"
            if let found {
                guard found["retentionRules"]?.items?.first?["everySeconds"]?.whole != UInt64(seconds) else { continue }
                _ = try await tree(
                    "PATCH", "/api/v2/buckets/\(Self.percent(found["id"]?.text ?? ""))", [], body: "{\(rules)}",
                    doing: "changing bucket \(name)")
            } else {
                let body = "{\"orgID\": \(organisation.jsonQuoted), \"name\": \(name.jsonQuoted), \(rules)}"
                _ = try await tree("POST", "/api/v2/buckets", [], body: body, doing: "making bucket \(name)")
            }
        }
        for rollup in rollups { try await prepareTask(rollup.task(bucket, org), organisation) }
    }

    private func prepareTask(_ task: (name: String, script: String), _ organisation: String) async throws {
        let doing = "making task \(task.name)"
        let found = try await tree("GET", "/api/v2/tasks", [("name", task.name), ("orgID", organisation)], doing: doing)["tasks"]?.items?
            .first { $0["name"]?.text == task.name }
        if let found {
            guard found["flux"]?.text != task.script else { return }
            let path = "/api/v2/tasks/\(Self.percent(found["id"]?.text ?? ""))"
            _ = try await tree("PATCH", path, [], body: "{\"flux\": \(task.script.jsonQuoted)}", doing: doing)
        } else {
            let body = "{\"orgID\": \(organisation.jsonQuoted), \"flux\": \(task.script.jsonQuoted), \"status\": \"active\"}"
            _ = try await tree("POST", "/api/v2/tasks", [], body: body, doing: doing)
        }
    }

    private func tree(
        _ method: String, _ path: String, _ items: [(String, String)], body: String? = nil, doing: String
    ) async throws -> JSONNode {
        let headers = body == nil ? [] : [(name: "Content-Type", value: "application/json")]
        let answer = try await request(method, path, items, headers: headers, body: body.map { Array($0.utf8) }, doing: doing)
        guard (200...299).contains(answer.status) else {
            throw InfluxFault.error(answer.status, InfluxFault.reason(answer), doing: doing)
        }
        let text = answer.text
        var reader = JSONTreeReader(
            text, reading: "an answer of \(options.shown)", code: .influxFailed, remedy: "see that the url is one of InfluxDB 2")
        return try reader.document()
    }

    // MARK: - Sums

    /// Makes the sums of windows from the rows that are there; windows that have them already get the same, or newer ones.
    func pass(_ rollup: InfluxRollup, _ tags: [(String, String)], _ range: Range<Int64>) async throws {
        let doing = "summing up \(rollup.measurement) for \(rollup.tier.name)"
        switch interface {
        case .database(let name, let policy):
            let answer = try await query(rollup.pass(name, policy, tags, range), writes: true, doing: doing)
            // What is too old for the tier would be forgotten at once.
            if let error = answer.error, !error.contains("beyond retention policy") {
                throw SluiceError(.influxFailed, .pause, "\(doing): \(error)", mend: "give the user all rights on the database")
            }
        case .bucket(let name, let org):
            let headers = [(name: "Content-Type", value: "application/vnd.flux"), (name: "Accept", value: "application/csv")]
            let answer = try await request(
                "POST", "/api/v2/query", [("org", org)], headers: headers,
                body: Array(rollup.pass(bucket: name, org: org, tags, range).utf8), doing: doing)
            guard (200...299).contains(answer.status) else {
                throw InfluxFault.error(answer.status, InfluxFault.reason(answer), doing: doing)
            }
        }
    }
}
