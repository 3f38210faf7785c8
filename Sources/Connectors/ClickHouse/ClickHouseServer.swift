import SluiceCore

/// What a server can do.
struct ClickHouseServer: Sendable, Hashable {
    /// As it says.
    let version: String
    let types: Set<String>
    let settings: Set<String>
    private let number: Int

    /// - Parameters:
    ///   - types: names of `system.data_type_families`.
    ///   - settings: names of `system.settings`.
    init(version: String, types: Set<String>, settings: Set<String>) {
        self.version = version
        self.types = types
        self.settings = settings
        let parts = version.split(separator: ".").map { Int($0.prefix { $0.isASCII && $0.isNumber }) ?? 0 } + [0, 0]
        number = parts[0] * 1000 + parts[1]
    }

    /// Asks the server.
    static func probe(_ connection: ClickHouseConnection) async throws -> ClickHouseServer {
        let doing = "asking the server what it can do"
        let version = try await connection.rows("SELECT version()", doing: doing).first?.first ?? ""
        let types = try await connection.rows(
            "SELECT name FROM system.data_type_families WHERE name IN ('Bool', 'DateTime64', 'LowCardinality', 'UInt256')", doing: doing)
        let names = insertSettings.map { ClickHouseSQL.literal($0.name) } + [ClickHouseSQL.literal(token)]
        let settings = try await connection.rows(
            "SELECT name FROM system.settings WHERE name IN (\(names.joined(separator: ", ")))", doing: doing)
        return ClickHouseServer(
            version: version, types: Set(types.compactMap(\.first)), settings: Set(settings.compactMap(\.first)))
    }

    private func isAtLeast(_ major: Int, _ minor: Int) -> Bool { number >= major * 1000 + minor }

    var hasBool: Bool { types.contains("Bool") }
    var hasDateTime64: Bool { types.contains("DateTime64") }
    // Before that, behind a switch of the experimental.
    var hasUInt256: Bool { types.contains("UInt256") && isAtLeast(21, 7) }
    var hasLowCardinality: Bool { types.contains("LowCardinality") && isAtLeast(19, 4) }
    var hasCodecs: Bool { isAtLeast(19, 3) }
    var hasTTL: Bool { isAtLeast(19, 6) }
    /// Whether `ReplacingMergeTree` knows which rows are deleted, so that `FINAL` leaves them out.
    var hasDeletedRows: Bool { isAtLeast(23, 2) }
    /// Whether an insert that was done already is recognised by its token.
    var hasTokens: Bool { settings.contains(Self.token) }

    static let token = "insert_deduplication_token"

    /// For every insert, where the server has them.
    private static let insertSettings: [(name: String, value: String)] = [
        // What is acknowledged is in the table.
        ("async_insert", "0"), ("insert_distributed_sync", "1"),
        // What comes in one request goes into one part, whatever the user's profile says: it is there as a whole, or not at all.
        ("min_insert_block_size_rows", "1048576"), ("min_insert_block_size_bytes", "1073741824"),
        // A batch of a sparse chain may have rows of many days.
        ("max_partitions_per_insert_block", "0"),
    ]

    var insertSettings: [(String, String)] { Self.insertSettings.filter { settings.contains($0.name) }.map { ($0.name, $0.value) } }
}
