import PostgresConnector
import SluiceCore
import SluiceTestKit
import Testing

@testable import PostgresConnector

/// Gives a suite a PostgreSQL server of its own, which is gone with it.
struct PostgresTrait: SuiteTrait, TestScoping {
    @TaskLocal static var services: TestServices?

    /// As `scripts/services` calls them.
    let servers: [String]

    var isRecursive: Bool { false }

    func provideScope(for test: Test, testCase: Test.Case?, performing body: @Sendable @concurrent () async throws -> Void) async throws {
        let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
        let services = try TestServices(servers, root: root)
        defer { services.stop() }
        try await Self.$services.withValue(services) { try await body() }
    }
}

extension Trait where Self == PostgresTrait {
    static var postgres: Self { Self(servers: ["postgres"]) }
    static var timescale: Self { Self(servers: ["postgres", "timescale"]) }
}

/// The server of the suite, as tests use it: each in a schema of its own.
struct Server {
    let options: PostgresSinkOptions
    let schema: String

    /// - Parameter schema: of the test's own, in lower case.
    init(
        _ schema: String, commitRows: Int = 1_000_000, timeSeries: TimeSeriesOptions? = nil, variable: String = "SLUICE_TEST_POSTGRES",
        tableSets: [PostgresTableSet] = []
    ) throws {
        let services = try #require(PostgresTrait.services)
        self.schema = schema
        options = PostgresSinkOptions(
            url: try #require(services.variables[variable]), shown: "127.0.0.1", schema: schema, commitRows: commitRows,
            timeSeries: timeSeries, tableSets: tableSets)
    }

    /// Asks over a connection that the sink does not use.
    func rows(_ sql: String) throws -> [[String?]] {
        let connection = try PostgresConnection(options)
        try connection.execute("SET search_path TO \(PostgresConnection.quoted(schema))", doing: "test")
        return try connection.rows(sql, doing: "test").rows
    }

    func execute(_ sql: String) throws {
        let connection = try PostgresConnection(options)
        try connection.execute("SET search_path TO \(PostgresConnection.quoted(schema)); " + sql, doing: "test")
    }
}
