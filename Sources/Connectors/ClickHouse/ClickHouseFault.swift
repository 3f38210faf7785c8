public import SluiceCore
import SluiceNet

extension SluiceError.Code {
    /// The server cannot be reached, went away, or cannot take more now.
    public static let clickhouseUnavailable = Self("clickhouse_unavailable")
    /// The server refuses the user, or what the user wants to do.
    public static let clickhouseRefused = Self("clickhouse_refused")
    /// The server's tables are not what the sink needs.
    public static let clickhouseSchema = Self("clickhouse_schema")
    /// Another process writes the same stream by now.
    public static let clickhouseFenced = Self("clickhouse_fenced")
    /// The options do not fit the tables or the server.
    public static let clickhouseOptions = Self("clickhouse_options")
    /// The server does not take a row for what it holds.
    public static let clickhouseRow = Self("clickhouse_row")
    /// The server failed in another way.
    public static let clickhouseFailed = Self("clickhouse_failed")
}

/// What a failure of ClickHouse means for the runtime.
enum ClickHouseFault {
    /// What the server answered with, when that was not what was asked for.
    /// - Parameters:
    ///   - status: of HTTP.
    ///   - body: the server's words: `Code: 60. DB::Exception: ...`.
    ///   - doing: what was being done, with the place: it begins the sentence.
    static func error(status: Int, body: String, doing: String) -> SluiceError {
        guard let code = code(of: body) else {
            let words = body.split(whereSeparator: \.isNewline).first.map { ": \($0.prefix(200))" } ?? ""
            let text = "\(doing): the server answered with status \(status)\(words)"
            switch status {
            case 401, 403: return refused(text)
            case 408, 429, 502, 503, 504: return SluiceError(.clickhouseUnavailable, .retry, text)
            default:
                return SluiceError(
                    .clickhouseFailed, .pause, text, mend: "check that the sink's url is that of ClickHouse's HTTP interface")
            }
        }
        return error(code: code, "\(doing): \(trimmed(body)) (code \(code))")
    }

    private static func error(code: Int, _ text: String) -> SluiceError {
        switch code {
        case 192, 193, 194, 195, 516: return refused(text)
        case 291, 497: return SluiceError(.clickhouseRefused, .pause, text, mend: "grant the user the rights that are missing")
        case 164: return SluiceError(.clickhouseRefused, .pause, text, mend: "give the user a profile that may write")
        case 252:
            return SluiceError(.clickhouseUnavailable, .retry, text, mend: "give the sink more batch_rows, or the table fewer partitions")
        case 241:
            return SluiceError(.clickhouseUnavailable, .retry, text, mend: "give the server more memory, or the sink fewer batch_rows")
        case 243: return SluiceError(.clickhouseFailed, .pause, text, mend: "make room on the server's disk")
        // Timeouts, connections, too much at once, a shutdown, replicas and their keeper: all of that passes.
        case 159, 198, 202, 203, 209, 210, 216, 225, 236, 242, 244, 254, 279, 285, 286, 287, 319, 364, 394, 425, 499, 999:
            return SluiceError(.clickhouseUnavailable, .retry, text)
        case 10, 16, 36, 42, 43, 44, 47, 50, 53, 57, 60, 70, 80, 81, 122: return SluiceError(.clickhouseSchema, .pause, text)
        default: return SluiceError(.clickhouseFailed, .pause, text)
        }
    }

    private static func refused(_ text: String) -> SluiceError {
        SluiceError(.clickhouseRefused, .pause, text, mend: "check the sink's user and password")
    }

    /// Whether it may be for what rows hold that an insert was refused: constraints and what columns are computed by, values that do not fit,
    /// a body that is too large for whatever stands before the server. That it is so, halving shows.
    static func isOfRows(status: Int, body: String) -> Bool {
        guard let code = code(of: body) else { return status == 413 || status == 422 }
        return rowCodes.contains(code)
    }

    /// Text, numbers, dates and lists that cannot be read or do not fit (6, 38, 41, 53, 68-70, 72, 117, 128, 131, 190, 321, 349, 407, 691), what
    /// divides by zero or throws by itself (153, 395), and constraints (469).
    private static let rowCodes: Set<Int> = [
        6, 38, 41, 53, 68, 69, 70, 72, 117, 128, 131, 153, 190, 321, 349, 395, 407, 469, 691,
    ]

    /// The server's words, short.
    static func reason(status: Int, body: String) -> String {
        guard let code = code(of: body) else {
            return "status \(status)" + (body.split(whereSeparator: \.isNewline).first.map { ": \($0.prefix(200))" } ?? "")
        }
        return "\(trimmed(body)) (code \(code))"
    }

    /// A request that brought no answer.
    static func error(_ failure: HTTPFailure, doing: String) -> SluiceError {
        switch failure.phase {
        case .request: SluiceError(.clickhouseOptions, .config, "\(doing): \(failure.message)", mend: "correct the sink's url")
        case .tooLarge, .decode: SluiceError(.clickhouseFailed, .pause, "\(doing): \(failure.message)")
        default:
            SluiceError(
                .clickhouseUnavailable, .retry, "\(doing): \(failure.message)", mend: "check that the server runs and can be reached")
        }
    }

    /// The number behind `Code: `.
    static func code(of body: String) -> Int? {
        guard let start = body.firstRange(of: "Code: ")?.upperBound else { return nil }
        return Int(body[start...].prefix { $0.isASCII && $0.isNumber })
    }

    /// The first line without what every one begins and ends with.
    private static func trimmed(_ body: String) -> String {
        var line = body.split(whereSeparator: \.isNewline).first.map(String.init) ?? "no reason was given"
        if let range = line.firstRange(of: "DB::Exception: ") { line = String(line[range.upperBound...]) }
        for end in [", e.what() = ", " (version ", ": While executing"] {
            if let range = line.firstRange(of: end) { line = String(line[..<range.lowerBound]) }
        }
        return String(line.prefix(600))
    }
}
