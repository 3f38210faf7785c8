import SluiceCore

/// A table of a set: what it is like in every database, and what a server makes of it. Pure.
struct ClickHouseSetTable: Sendable, Hashable {
    /// What a column holds. The words are part of published migrations.
    enum Kind: String, Sendable {
        case uint8, uint32, uint64, int64, float32, float64, uint256, date, text, moment
        /// Seconds since 1970.
        case seconds
        /// Text of which there are few.
        case word
        case optionalText
        /// With 18 digits behind the point.
        case optionalPrice
        /// JSON as text.
        case json
        /// A number that is worked out of the row's key where it is left out.
        case id
        /// The `id` of the log that the row is made of, likewise.
        case logID
    }

    struct Column: Sendable, Hashable {
        let name: String
        let kind: Kind

        init(_ name: String, _ kind: Kind) { (self.name, self.kind) = (name, kind) }
    }

    let name: String
    /// What tells rows apart, and how they are sorted.
    let key: [String]
    /// The column that tells the time of a row, by which it is parted and grows old. It follows from what the row is of: so one that is loaded
    /// again comes into the same part.
    let time: String?
    let columns: [Column]

    init(_ name: String, key: [String], time: String? = nil, _ columns: [(String, Kind)]) {
        self.name = name
        self.key = key
        self.time = time
        self.columns = columns.map { Column($0.0, $0.1) }
    }

    /// The same in every database.
    var definition: String {
        "table \(name) by \(key.joined(separator: ", "))" + (time.map { " in time \($0)" } ?? "") + ": "
            + columns.map { "\($0.name) \($0.kind.rawValue)" }.joined(separator: ", ")
    }

    private var timeKind: Kind? { columns.first { $0.name == time }?.kind }

    // MARK: - On a server

    func type(_ kind: Kind, _ server: ClickHouseServer) -> String {
        switch kind {
        case .uint8: "UInt8"
        case .uint32: "UInt32"
        case .uint64, .seconds, .id, .logID: "UInt64"
        case .int64: "Int64"
        case .float32: "Float32"
        case .float64: "Float64"
        // Without an integer of that size: its bytes, most significant first, which sort as the numbers do.
        case .uint256: server.hasUInt256 ? "UInt256" : "FixedString(32)"
        case .date: "Date"
        case .moment: "DateTime('UTC')"
        case .text, .json: "String"
        case .word: server.hasLowCardinality ? "LowCardinality(String)" : "String"
        case .optionalText: "Nullable(String)"
        case .optionalPrice: "Nullable(Decimal(38, 18))"
        }
    }

    private func codec(_ kind: Kind, _ tables: ClickHouseTables) -> String {
        guard tables.server.hasCodecs else { return "" }
        switch tables.options.tables[name]?.compression ?? tables.options.compression {
        case .server: return ""
        case .lz4: return " CODEC(LZ4)"
        case .zstd: return " CODEC(ZSTD(1))"
        case .auto:
            switch kind {
            case .uint32, .uint64, .int64, .seconds, .date, .moment: return " CODEC(Delta, ZSTD(1))"
            case .uint256, .float32, .float64, .optionalPrice, .json, .word: return " CODEC(ZSTD(1))"
            case .uint8, .id, .logID, .text, .optionalText: return ""
            }
        }
    }

    private func column(_ column: Column, _ tables: ClickHouseTables) -> String {
        let standard =
            switch column.kind {
            case .moment: " DEFAULT now()"
            case .id: " DEFAULT cityHash64(\(key.map(ClickHouseSQL.quoted).joined(separator: ", ")))"
            case .logID: " DEFAULT cityHash64(`chain_id`, `block_number`, `tx_hash`, `log_index`)"
            default: ""
            }
        return "\(ClickHouseSQL.quoted(column.name)) \(type(column.kind, tables.server))\(standard)\(codec(column.kind, tables))"
    }

    /// The columns as the server shows them, by name.
    func types(_ server: ClickHouseServer) -> [String: String] {
        var types = Dictionary(columns.map { ($0.name, type($0.kind, server)) }, uniquingKeysWith: { first, _ in first })
        types[ClickHouseTables.version] = "UInt64"
        types[ClickHouseTables.deleted] = "UInt8"
        return types
    }

    /// A row's time as the server's own.
    private func instant(_ time: String) -> String {
        timeKind == .date ? ClickHouseSQL.quoted(time) : "toDateTime(\(ClickHouseSQL.quoted(time)))"
    }

    func partition(_ options: ClickHouseSinkOptions) -> String? {
        guard let time else { return nil }
        let kind = options.tables[name]?.partition ?? options.partition
        if kind == .none { return nil }
        let function = [.day: "toYYYYMMDD", .month: "toYYYYMM"][kind] ?? "toYear"
        return "\(function)(\(instant(time))\(timeKind == .date ? "" : ", 'UTC'"))"
    }

    /// - Throws: `config` where rows are to grow old and the server, or the table, knows no age.
    func ttl(_ tables: ClickHouseTables) throws(SluiceError) -> String? {
        let own = tables.options.tables[name]?.ttl
        guard let age = own ?? tables.options.ttl else { return nil }
        guard let time else {
            guard own != nil else { return nil }
            throw SluiceError(
                .clickhouseOptions, .config, "tables.\(name).ttl is set, but its rows have no time", mend: "leave it out")
        }
        try tables.requireTTL()
        return "\(instant(time)) + toIntervalSecond(\(age.components.seconds))"
    }

    /// The table, on a cluster the one over all servers as well, and the view of the rows that count.
    func creation(_ tables: ClickHouseTables) throws(SluiceError) -> [String] {
        let server = tables.server
        let codec = server.hasCodecs ? " CODEC(Delta, ZSTD(1))" : ""
        let all =
            columns.map { column($0, tables) } + ["`\(ClickHouseTables.version)` UInt64\(codec)", "`\(ClickHouseTables.deleted)` UInt8"]
        let sorted = key.map(ClickHouseSQL.quoted).joined(separator: ", ")
        var tail = ""
        if let partition = partition(tables.options) { tail += " PARTITION BY \(partition)" }
        tail += key.count == 1 ? " ORDER BY \(sorted)" : " ORDER BY (\(sorted))"
        if let ttl = try ttl(tables) { tail += " TTL \(ttl)" }
        if server.hasTokens { tail += " SETTINGS non_replicated_deduplication_window = 100" }
        let view = tables.name("\(name)_current")
        let names = columns.map { ClickHouseSQL.quoted($0.name) }.joined(separator: ", ")
        return tables.creation(
            name, columns: all.joined(separator: ", "),
            engine: "ReplacingMergeTree(\(ClickHouseTables.version)\(server.hasDeletedRows ? ", \(ClickHouseTables.deleted)" : ""))",
            tail: tail, sharding: "cityHash64(\(sorted))") + [
                "CREATE VIEW IF NOT EXISTS \(view)\(tables.onCluster) AS SELECT \(names) FROM \(tables.name(name)) FINAL "
                    + "WHERE \(ClickHouseTables.deleted) = 0"
            ]
    }

    /// A table that is there must be what it would have been made as.
    /// - Parameters:
    ///   - key: as the server shows it.
    ///   - found: types by column.
    ///   - place: where it is, for the message.
    func require(
        engine: String, key shown: String, _ found: [String: String], _ server: ClickHouseServer, in place: String
    ) throws(SluiceError) {
        let mend = "rename it away, or write to another database"
        // Some versions show a key of one column as it was written.
        let bare = shown.hasPrefix("(") && shown.hasSuffix(")") ? String(shown.dropFirst().dropLast()) : shown
        guard engine.hasSuffix("ReplacingMergeTree"), ClickHouseSQL.columns(ofKey: bare) == key else {
            throw SluiceError(
                .clickhouseSchema, .pause,
                "\(name) in \(place) is a \(engine) sorted by \(shown), not a ReplacingMergeTree sorted by \(key.joined(separator: ", "))",
                mend: mend)
        }
        for (column, wanted) in types(server).sorted(by: { $0.key < $1.key }) {
            let type = found[column] ?? "not there"
            guard type.filter({ $0 != " " }) == wanted.filter({ $0 != " " }) else {
                throw SluiceError(.clickhouseSchema, .pause, "\(name).\(column) in \(place) is \(type), not \(wanted)", mend: mend)
            }
        }
    }
}
