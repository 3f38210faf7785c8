import SluiceCore

/// A migration with the tables that it makes; none: those of the sink itself.
struct ClickHouseScript: Sendable {
    let migration: Migration
    let tables: [ClickHouseSetTable]

    init(_ number: Int, _ name: String, set: ClickHouseTableSet, _ tables: [ClickHouseSetTable]) {
        migration = Migration(number, name, set: set.rawValue, definition: tables.map(\.definition))
        self.tables = tables
    }

    /// What streams hold. Databases that were made before migrations were numbered have it already: for them this is only recorded.
    static let bookkeeping = ClickHouseScript()

    private init() {
        migration = Migration(1, "bookkeeping", definition: ["ledger \(ClickHouseTables.ledger): \(ClickHouseTables.ledgerColumns)"])
        tables = []
    }

    /// Statements for one server; each does nothing where what it makes is there.
    /// - Throws: `config` where the options ask for what the server cannot do.
    func rendered(_ tables: ClickHouseTables) throws(SluiceError) -> MigrationScript {
        guard !self.tables.isEmpty else { return MigrationScript(tables.ledgerCreation) }
        var statements: [String] = []
        for table in self.tables { statements += try table.creation(tables) }
        return MigrationScript(statements, notes: notes(tables))
    }

    /// What this server makes of it.
    private func notes(_ tables: ClickHouseTables) -> [String] {
        let kinds = Set(self.tables.flatMap(\.columns).map(\.kind))
        var notes: [String] = []
        if !tables.server.hasUInt256, kinds.contains(.uint256) {
            notes.append("numbers of 256 bits are FixedString(32), most significant byte first: this server has no UInt256")
        }
        if !tables.server.hasCodecs { notes.append("columns are compressed as the server does: it has no codecs") }
        if !tables.server.hasLowCardinality, kinds.contains(.word) {
            notes.append("texts that repeat are String: this server has no LowCardinality")
        }
        if let cluster = tables.options.cluster { notes.append("on each server of cluster \(cluster), with Distributed tables over them") }
        return notes
    }
}

/// All migrations of ClickHouse. Their order, numbers and texts are fixed: what must change is a new one at the end.
enum ClickHouseMigrations {
    static let all: [ClickHouseScript] = [.bookkeeping, chain, transfers, network, metrics, exchanges, entities]
}
