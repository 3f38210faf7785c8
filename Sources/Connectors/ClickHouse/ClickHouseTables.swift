import SluiceCore
import SluiceFormats

/// What the sink's tables are like in ClickHouse. Pure.
struct ClickHouseTables: Sendable {
    let options: ClickHouseSinkOptions
    let server: ClickHouseServer

    /// The version of a row: of those with one key the one with the greatest counts.
    static let version = "sluice_version"
    /// 1 where a row says that the one of its key is gone.
    static let deleted = "sluice_deleted"

    // MARK: - Types

    /// Types that keep every value, the best that the server has first. What another version of the server made is good as well.
    func types(_ type: LogicalType) -> [(name: String, encoding: NativeBlock.Encoding)] {
        switch type {
        case .bool: (server.hasBool ? [("Bool", .plain)] : []) + [("UInt8", .plain)]
        case .int64: [("Int64", .plain)]
        case .uint64: [("UInt64", .plain)]
        case .float64: [("Float64", .plain)]
        case .decimal: [("Decimal(38, 0)", .plain)]
        // Without an integer of that size: its bytes, most significant first, which sort as the numbers do.
        case .uint256: (server.hasUInt256 ? [("UInt256", .plain)] : []) + [("FixedString(32)", .bigEndian)]
        // Without a type for it: microseconds since 1970.
        case .timestamp: (server.hasDateTime64 ? [("DateTime64(6, 'UTC')", .plain)] : []) + [("Int64", .plain)]
        case .string, .json, .bytes: [("String", .string)]
        case .fixedBytes(let count): [("FixedString(\(count))", .plain)]
        }
    }

    /// The type of a column that is made.
    func type(_ field: Field) -> String {
        let name = types(field.type)[0].name
        let whole = field.nullable ? "Nullable(\(name))" : name
        return server.hasLowCardinality && field.type == .string && field.content == .repeating ? "LowCardinality(\(whole))" : whole
    }

    /// How values get into a column that is there; nil when they would not be what they were.
    func target(_ field: Field, at index: Int, type: String) -> NativeBlock.Target? {
        var bare = type[...]
        if bare.hasPrefix("LowCardinality("), bare.hasSuffix(")") { bare = bare.dropFirst(15).dropLast() }
        let isNullable = bare.hasPrefix("Nullable(") && bare.hasSuffix(")")
        if isNullable { bare = bare.dropFirst(9).dropLast() }
        guard isNullable == field.nullable, let found = types(field.type).first(where: { $0.name == bare }) else { return nil }
        return NativeBlock.Target(field: index, name: field.name, type: found.name, isNullable: isNullable, encoding: found.encoding)
    }

    private func column(_ field: Field, _ table: Schema) -> String {
        let codec = codec(field, compression: options.tables[table.name]?.compression ?? options.compression)
        return "\(ClickHouseSQL.quoted(field.name)) \(type(field))\(codec)"
    }

    private func codec(_ field: Field, compression: ClickHouseSinkOptions.Compression) -> String {
        guard server.hasCodecs else { return "" }
        switch compression {
        case .server: return ""
        case .lz4: return " CODEC(LZ4)"
        case .zstd: return " CODEC(ZSTD(1))"
        case .auto:
            switch field.type {
            // Blocks, places and times go up in small steps.
            case .int64, .uint64, .timestamp: return " CODEC(Delta, ZSTD(1))"
            case .decimal, .uint256, .json: return " CODEC(ZSTD(1))"
            default: return field.content == .varied ? "" : " CODEC(ZSTD(1))"
            }
        }
    }

    // MARK: - Keys

    /// Chain, block and the rest of the row's key: sorted as blocks come, and still one row a key.
    func order(_ table: Schema) throws(SluiceError) -> [String] {
        let wanted = options.tables[table.name]?.order ?? []
        for name in wanted {
            guard let index = table.index(of: name) else {
                throw SluiceError(
                    .clickhouseOptions, .config, "tables.\(table.name).order_by names \(name), which is no column of the table",
                    mend: "its columns are \(table.fields.map(\.name).joined(separator: ", "))")
            }
            guard !table.fields[index].nullable else {
                throw SluiceError(
                    .clickhouseOptions, .config, "tables.\(table.name).order_by names \(name), which may be null",
                    mend: "sort by columns that are never null")
            }
        }
        var order: [String] = []
        for name in wanted + ["chain_id", try table.requiredBlockNumber()] + table.key where !order.contains(name) { order.append(name) }
        return order
    }

    /// The column that tells the time of a row's block; nil when there is none.
    static func time(_ table: Schema) -> String? {
        ["block_timestamp", "timestamp", "bundle_timestamp"].first { name in
            table.fields.contains { $0.name == name && $0.type == .timestamp && !$0.nullable }
        }
    }

    /// Seconds, out of microseconds.
    private static func instant(_ column: String) -> String { "toDateTime(intDiv(\(ClickHouseSQL.quoted(column)), 1000000))" }

    func partition(_ table: Schema) throws(SluiceError) -> String? {
        let own = options.tables[table.name]?.partition
        let kind = own ?? options.partition
        if kind == .none { return nil }
        guard let time = Self.time(table) else {
            guard own != nil else { return nil }
            throw SluiceError(
                .clickhouseOptions, .config,
                "tables.\(table.name).partition_by is \(kind.rawValue), but its rows have no time of their block",
                mend: "write partition_by: none")
        }
        let function = [.day: "toYYYYMMDD", .month: "toYYYYMM"][kind] ?? "toYear"
        return server.hasDateTime64 ? "\(function)(\(ClickHouseSQL.quoted(time)))" : "\(function)(\(Self.instant(time)), 'UTC')"
    }

    /// Makes sure that the server deletes old rows by itself.
    func requireTTL() throws(SluiceError) {
        guard !server.hasTTL else { return }
        throw SluiceError(
            .clickhouseOptions, .config, "ClickHouse \(server.version) at \(options.shown) does not delete old rows by itself",
            mend: "leave ttl out, or use ClickHouse 19.6 or later")
    }

    /// - Parameter type: of the column that tells the time, where there is one; nil: as it would be made.
    func ttl(_ table: Schema, type: String? = nil) throws(SluiceError) -> String? {
        let own = options.tables[table.name]?.ttl
        guard let ttl = own ?? options.ttl else { return nil }
        try requireTTL()
        guard let time = Self.time(table) else {
            guard own != nil else { return nil }
            throw SluiceError(
                .clickhouseOptions, .config, "tables.\(table.name).ttl is set, but its rows have no time of their block",
                mend: "leave it out")
        }
        let isInteger = type.map { $0 == "Int64" } ?? !server.hasDateTime64
        return
            "\(isInteger ? Self.instant(time) : "toDateTime(\(ClickHouseSQL.quoted(time)))") + toIntervalSecond(\(ttl.components.seconds))"
    }

    // MARK: - Statements

    var onCluster: String { options.cluster.map { " ON CLUSTER \(ClickHouseSQL.quoted($0))" } ?? "" }

    func name(_ table: String) -> String { ClickHouseSQL.quoted(options.database) + "." + ClickHouseSQL.quoted(table) }

    /// The table that holds rows: on a cluster each server has its own.
    func localName(_ table: String) -> String { options.cluster == nil ? table : "\(table)_local" }

    /// A table and, on a cluster, the one over all of them.
    func creation(_ table: String, columns: String, engine: String, tail: String, sharding: String) -> [String] {
        var statements = ["CREATE TABLE IF NOT EXISTS \(name(localName(table)))\(onCluster) (\(columns)) ENGINE = \(engine)\(tail)"]
        if let cluster = options.cluster {
            statements.append(
                "CREATE TABLE IF NOT EXISTS \(name(table))\(onCluster) AS \(name(localName(table))) ENGINE = Distributed("
                    + [cluster, options.database, localName(table)].map(ClickHouseSQL.literal).joined(separator: ", ") + ", \(sharding))")
        }
        return statements
    }

    func creation(_ table: Schema) throws(SluiceError) -> [String] {
        let own = table.fields.map { column($0, table) }
        let codec = server.hasCodecs ? " CODEC(Delta, ZSTD(1))" : ""
        let columns = own + ["`\(Self.version)` UInt64\(codec)", "`\(Self.deleted)` UInt8"]
        let engine = "ReplacingMergeTree(\(Self.version)\(server.hasDeletedRows ? ", \(Self.deleted)" : ""))"
        var tail = ""
        if let partition = try partition(table) { tail += " PARTITION BY \(partition)" }
        tail += " ORDER BY (\(try order(table).map(ClickHouseSQL.quoted).joined(separator: ", ")))"
        if let ttl = try ttl(table) { tail += " TTL \(ttl)" }
        if server.hasTokens { tail += " SETTINGS non_replicated_deduplication_window = 100" }
        return creation(
            table.name, columns: columns.joined(separator: ", "), engine: engine, tail: tail,
            sharding: "cityHash64(chain_id, \(ClickHouseSQL.quoted(try table.requiredBlockNumber())))")
    }

    /// Adds a column to a table that is there.
    func addition(_ field: Field, to table: Schema) -> [String] {
        let names = options.cluster == nil ? [table.name] : [localName(table.name), table.name]
        return names.map { "ALTER TABLE \(name($0))\(onCluster) ADD COLUMN \(column(field, table))" }
    }

    /// What a view of the rows that count is called.
    func view(_ table: Schema) -> String { name("\(table.name)_current") }

    func viewCreation(_ table: Schema) -> String {
        "CREATE VIEW IF NOT EXISTS \(view(table))\(onCluster) AS SELECT \(columns(table)) FROM \(name(table.name)) FINAL WHERE \(Self.deleted) = 0"
    }

    func columns(_ table: Schema) -> String { table.fields.map { ClickHouseSQL.quoted($0.name) }.joined(separator: ", ") }

    func insertion(_ table: Schema) -> String {
        "INSERT INTO \(name(table.name)) (\(columns(table)), \(Self.version), \(Self.deleted))"
    }

    /// The rows that count and fulfil a condition, as those that say that they are gone.
    func tombstones(_ table: Schema, version: UInt64, where condition: String) -> String {
        "SELECT \(columns(table)), toUInt64(\(version)) AS new_version, toUInt8(1) AS new_deleted FROM \(name(table.name)) FINAL "
            + "WHERE \(Self.deleted) = 0 AND \(condition)"
    }

    // MARK: - The ledger

    static let ledger = "sluice_streams"
    static let ledgerColumns =
        "stream String, chain_id UInt64, saved UInt64, generation UInt64, writer UInt64, tables Array(String), segments String"

    /// What is there of each stream, a row a step.
    var ledgerCreation: [String] {
        creation(
            Self.ledger, columns: Self.ledgerColumns, engine: "ReplacingMergeTree(saved)", tail: " ORDER BY (stream, chain_id)",
            sharding: "cityHash64(stream, chain_id)")
    }

    // MARK: - What was applied

    static let migrations = "sluice_migrations"

    /// A row a migration. The checksum is in the key: should two versions of the program meet, both of their rows stay and it shows.
    var migrationsCreation: [String] {
        creation(
            Self.migrations,
            columns: "number UInt32, name String, checksum String, applied_at DateTime('UTC'), applied_by String, server String",
            engine: "ReplacingMergeTree", tail: " ORDER BY (number, name, checksum)", sharding: "number")
    }
}

extension Schema {
    func requiredBlockNumber() throws(SluiceError) -> String {
        guard let field = blockNumberField, index(of: "chain_id") != nil else {
            throw SluiceError(.clickhouseSchema, .config, "table \(name) lacks a block number or chain_id, so its rows could not be undone")
        }
        return field
    }
}
