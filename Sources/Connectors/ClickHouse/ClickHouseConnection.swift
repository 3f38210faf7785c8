import SluiceConfig
import SluiceCore
import SluiceNet

/// Speaks to one server over HTTP.
struct ClickHouseConnection: Sendable {
    let http: HTTPClient
    let options: ClickHouseSinkOptions

    /// Runs a statement that gives no rows.
    func execute(_ sql: String, _ settings: [(String, String)] = [], doing: String) async throws {
        _ = try await send(Array(sql.utf8), settings, doing: doing)
    }

    /// Runs one that does, and returns them as text.
    func rows(_ sql: String, doing: String) async throws -> [[String]] {
        let text = String(decoding: try await bytes(sql, format: "TabSeparated", doing: doing), as: UTF8.self)
        return text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map { line in
            line.split(separator: "\t", omittingEmptySubsequences: false).map(ClickHouseSQL.unescaped)
        }
    }

    /// Runs one that does, and returns them in a format.
    func bytes(_ sql: String, format: String, doing: String) async throws -> [UInt8] {
        let body = try await send(Array("\(sql) FORMAT \(format)".utf8), [("wait_end_of_query", "1")], doing: doing)
        return Array(body.bytes)
    }

    /// Inserts what is in the body.
    /// - Throws: `ClickHouseRefusal` when the server does not take it, or cannot be reached.
    func insert(_ sql: String, _ body: Buffer, _ settings: [(String, String)], doing: String) async throws {
        _ = try await exchange(content: body, [("query", sql)] + settings, doing: doing)
    }

    private func send(_ body: [UInt8], _ settings: [(String, String)], doing: String) async throws -> Buffer {
        do {
            return try await exchange(body, settings, doing: doing)
        } catch let refusal as ClickHouseRefusal { throw refusal.error }
    }

    private func exchange(_ body: [UInt8]? = nil, content: Buffer? = nil, _ settings: [(String, String)], doing: String) async throws
        -> Buffer
    {
        let query = settings.map { "\(Self.encoded($0.0))=\(Self.encoded($0.1))" }.joined(separator: "&")
        var headers = [(name: "Content-Type", value: "application/octet-stream")]
        if let user = options.user { headers.append((name: "X-ClickHouse-User", value: user)) }
        if let password = options.password { headers.append((name: "X-ClickHouse-Key", value: password.reveal())) }
        let limits = HTTPLimits(connect: options.connectTimeout, firstByte: options.requestTimeout, total: options.requestTimeout)
        let place = doing + " at \(options.shown)"
        let response: HTTPResponse
        do {
            response = try await http.send(
                HTTPRequest(
                    method: "POST", url: "\(options.endpoint)/?\(query)", headers: headers, body: body, content: content, limits: limits))
        } catch let failure as HTTPFailure {
            if failure.phase == .cancelled { throw CancellationError() }
            throw ClickHouseRefusal(error: ClickHouseFault.error(failure, doing: place))
        }
        guard response.status == 200 else {
            let words = String(decoding: response.body.bytes.prefix(8192), as: UTF8.self)
            throw ClickHouseRefusal(
                error: ClickHouseFault.error(status: response.status, body: words, doing: place),
                reason: ClickHouseFault.reason(status: response.status, body: words),
                isOfRows: ClickHouseFault.isOfRows(status: response.status, body: words),
                wait: RetryPolicy().delay(retryAfter: response.retryAfter, date: response.date))
        }
        return response.body
    }

    private static func encoded(_ text: String) -> String {
        var out: [UInt8] = []
        let digits = Array("0123456789ABCDEF".utf8)
        for byte in text.utf8 {
            switch byte {
            case 48...57, 65...90, 97...122, 45, 46, 95, 126: out.append(byte)
            default: out += [37, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}

/// What became of a request that was not done.
struct ClickHouseRefusal: Error {
    let error: SluiceError
    /// The server's words alone.
    var reason = ""
    /// Whether rows may be refused for what they hold: then others may go without them.
    var isOfRows = false
    /// How long the server asks to be left alone.
    var wait: Duration?
}
