public import SluiceCore
import SluiceNet

extension SluiceError.Code {
    /// The server cannot be reached, or is busy for too long.
    public static let influxUnavailable = Self("influxdb_unavailable")
    /// The server refuses the user, the token, the database or the bucket.
    public static let influxRefused = Self("influxdb_refused")
    /// The server does not take a row.
    public static let influxRow = Self("influxdb_row")
    /// A table does not fit what the sink can write.
    public static let influxSchema = Self("influxdb_schema")
    /// A row has no moment of its own.
    public static let influxTime = Self("influxdb_time")
    /// The server failed in another way.
    public static let influxFailed = Self("influxdb_failed")
    /// What was taken is lost; resume from the position.
    static let influxReopen = Self("influxdb_reopen")
}

/// What answers of the server mean for the runtime. Pure.
enum InfluxFault {
    /// What is to be done about a status.
    enum Verdict: Equatable {
        case fine
        /// The same request may go through later.
        case again
        /// Some row of the request is refused, or it is too large: its parts are to be tried.
        case split
        case refused
    }

    static func verdict(_ status: Int) -> Verdict {
        switch status {
        case 200...299: .fine
        case 429, 500, 502, 503, 504: .again
        case 400, 413, 422: .split
        default: .refused
        }
    }

    /// What the server says of it: the text of a JSON error, of either version, else the first line.
    static func reason(_ response: HTTPResponse) -> String {
        let text = String(response.text.prefix(1 << 20))
        var reader = JSONTreeReader(text, reading: "an answer", code: .influxFailed, remedy: "")
        if let tree = try? reader.document(), let said = tree["error"]?.text ?? tree["message"]?.text { return clean(said) }
        return clean(text.split(whereSeparator: \.isNewline).first.map(String.init) ?? "no reason was given")
    }

    /// What comes from outside may quote rows: short, and on one line.
    private static func clean(_ text: String) -> String {
        let line = String(text.map { $0.isNewline ? " " : $0 })
        // Why it is stands before the row that is quoted, or behind it.
        return line.count > 400 ? "\(line.prefix(200)) ... \(line.suffix(200))" : line
    }

    static func error(_ status: Int, _ reason: String, doing: String) -> SluiceError {
        let text = "\(doing): \(reason) (status \(status))"
        switch status {
        case 401: return SluiceError(.influxRefused, .config, text, mend: "check the sink's user and password, or its token")
        case 403: return SluiceError(.influxRefused, .pause, text, mend: "give the user or the token the right to do that")
        case 404:
            return SluiceError(
                .influxRefused, .config, text, mend: "check the sink's url, version and database or bucket; org is the organisation's name")
        case 429, 500, 502, 503, 504: return SluiceError(.influxUnavailable, .retry, text, mend: "check the load and the log of the server")
        default: return SluiceError(.influxFailed, .pause, text, mend: "check the log of the server")
        }
    }

    static func error(_ failure: HTTPFailure, doing: String) -> SluiceError {
        SluiceError(.influxUnavailable, .retry, "\(doing): \(failure)", mend: "check that the server runs and can be reached")
    }
}
