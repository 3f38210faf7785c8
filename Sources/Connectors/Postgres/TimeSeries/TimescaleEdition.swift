/// What a server can do with tables that are cut by time.
enum TimescaleEdition: Sendable, Hashable {
    /// PostgreSQL without the extension.
    case plain
    /// Under the Apache licence: hypertables, no compression, no policies, no continuous aggregates.
    case apache
    case full

    /// Asks the server. The extension is made when the server has it and the user may.
    static func detect(_ connection: PostgresConnection) throws -> Self {
        let doing = "looking for TimescaleDB"
        func installed() throws -> Bool {
            try !connection.rows("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'", doing: doing).rows.isEmpty
        }
        if try !installed() {
            let isAvailable = try !connection.rows(
                "SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'", doing: doing
            ).rows.isEmpty
            guard isAvailable else { return .plain }
            // A server that has it and may not use it is a plain one; unless another process has made it meanwhile.
            do { try connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb", doing: doing) } catch {
                guard (try? installed()) == true else { return .plain }
            }
        }
        let license = try connection.rows("SELECT current_setting('timescaledb.license', true)", doing: doing).rows.first?.first ?? nil
        return license == "timescale" ? .full : .apache
    }
}
