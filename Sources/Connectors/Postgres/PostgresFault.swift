import CPq
public import SluiceCore

extension SluiceError.Code {
    /// The server cannot be reached, or went away.
    public static let postgresUnavailable = Self("postgres_unavailable")
    /// The server refuses the user, the database or the table.
    public static let postgresRefused = Self("postgres_refused")
    /// The server's tables are not what the sink needs.
    public static let postgresSchema = Self("postgres_schema")
    /// The server does not take a row.
    public static let postgresData = Self("postgres_data")
    /// Another process writes the same stream by now.
    public static let postgresFenced = Self("postgres_fenced")
    /// The server failed in another way.
    public static let postgresFailed = Self("postgres_failed")
}

/// What a failure of PostgreSQL means for the runtime.
enum PostgresFault {
    /// - Parameters:
    ///   - state: the SQLSTATE; nil when the connection itself failed.
    ///   - message: the server's words.
    ///   - doing: what was being done, with the place: it begins the sentence.
    static func error(_ state: String?, _ message: String, doing: String) -> SluiceError {
        let text = "\(doing): \(trimmed(message))" + (state.map { " (SQLSTATE \($0))" } ?? "")
        guard let state else {
            return SluiceError(.postgresUnavailable, .retry, text, mend: "check that the server runs and can be reached")
        }
        switch state.prefix(2) {
        // Connections, resources of the moment, locks and shutdowns pass.
        case "08", "57", "40": return SluiceError(.postgresUnavailable, .retry, text)
        case "53" where state != "53100":
            return SluiceError(.postgresUnavailable, .retry, text, mend: "give the server more memory or connections")
        case "53": return SluiceError(.postgresFailed, .pause, text, mend: "make room on the server's disk")
        case "28", "3D": return SluiceError(.postgresRefused, .pause, text, mend: "check user, password and database in the sink's url")
        case "22", "23": return SluiceError(.postgresData, .data, text)
        // A trigger's own words, and a row that is too large for an index or a page.
        case "P0", "54": return SluiceError(.postgresData, .data, text)
        default:
            switch state {
            case "42501": return SluiceError(.postgresRefused, .pause, text, mend: "grant the user the rights that are missing")
            case "25006": return SluiceError(.postgresRefused, .pause, text, mend: "name the primary server, not a replica")
            default:
                let isSchema = state.hasPrefix("42") || state.hasPrefix("3F") || state.hasPrefix("2B")
                return SluiceError(isSchema ? .postgresSchema : .postgresFailed, .pause, text)
            }
        }
    }

    /// The first line without the word that every one begins with.
    private static func trimmed(_ message: String) -> String {
        let line = message.split(whereSeparator: \.isNewline).first.map(String.init) ?? "no reason was given"
        for prefix in ["ERROR:  ", "FATAL:  "] where line.hasPrefix(prefix) { return String(line.dropFirst(prefix.count)) }
        return line
    }
}
