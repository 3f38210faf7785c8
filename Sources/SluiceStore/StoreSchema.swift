internal import SluiceCore

/// The schema of the state file, as a list of migrations: `user_version` says how many of them a file has seen.
enum StoreSchema {
    /// In order; one that was released never changes, as files out there have seen it.
    private static let migrations: [StoreMigration] = [.first, .records, .sharedState, .findings, .bundlesByHash, .replays]

    /// "SLUI": what tells our files from other SQLite files.
    static let applicationID: Int64 = 0x534C_5549

    /// The version this program writes.
    static var version: Int { migrations.count }

    /// Brings a file to this program's version in one transaction. Refuses files of others and files from the future.
    static func migrate(_ database: SQLiteDatabase, fresh: Bool) throws(SluiceError) {
        let found = try version(of: database, fresh: fresh)
        guard found < version else { return }
        // An old file that is damaged is left as it is, so that it can still be compared with a copy of its time.
        if found > 0 { try verify(database, version: found) }
        try migrate(database, from: found, to: version)
    }

    private static func migrate(_ database: SQLiteDatabase, from: Int, to: Int) throws(SluiceError) {
        try database.transaction { () throws(SluiceError) in
            for migration in migrations[from..<to] {
                for statement in migration.statements { try database.run(statement) }
            }
            try database.run("PRAGMA application_id = \(applicationID)")
            try database.run("PRAGMA user_version = \(to)")
        }
    }

    /// The version of a file; throws when it is none of ours or too new.
    static func version(of database: SQLiteDatabase, fresh: Bool = false) throws(SluiceError) -> Int {
        let application = try database.number("PRAGMA application_id")
        let found = try database.number("PRAGMA user_version")
        if fresh { return 0 }
        guard application == applicationID else {
            throw StoreError.foreign(database.path, "an SQLite database, but not a state file of Sluice")
        }
        guard found <= version else { throw StoreError.tooNew(database.path, Int(found), known: version) }
        guard found > 0 else { throw StoreError.corrupt(database.path, "version \(found)") }
        return Int(found)
    }

    /// Compares structure, schema and content with what they should be. Reads the whole file, which is small, in one snapshot: another
    /// process may go on writing meanwhile.
    static func verify(_ database: SQLiteDatabase, version: Int = version) throws(SluiceError) {
        try database.transaction("BEGIN") { () throws(SluiceError) in
            let check = try database.text("PRAGMA integrity_check(1)")
            guard check == "ok" else { throw StoreError.corrupt(database.path, check) }
            let reference = try SQLiteDatabase(":memory:", readOnly: false, create: true)
            try migrate(reference, from: 0, to: version)
            guard try shape(database) == shape(reference) else {
                throw StoreError.corrupt(database.path, "its tables are not as Sluice made them")
            }
            for table in migrations[..<version].flatMap(\.tables) { try verify(table, in: database) }
        }
    }

    private static func verify(_ table: StoreTable, in database: SQLiteDatabase) throws(SluiceError) {
        var rows: Int64 = 0
        var sum: Int64 = 0
        try database.run("SELECT row_digest(\(table.columns.joined(separator: ", "))) FROM \(table.name)") { row throws(SluiceError) in
            rows += 1
            sum ^= row.int(0)
        }
        var matches = false
        try database.run("SELECT rows, sum FROM digests WHERE name = ?", [.text(table.name)]) { row throws(SluiceError) in
            matches = row.int(0) == rows && row.int(1) == sum
        }
        guard matches else { throw StoreError.corrupt(database.path, "the rows of \(table.name) do not match their checksum") }
    }

    private static func shape(_ database: SQLiteDatabase) throws(SluiceError) -> [String] {
        var out: [String] = []
        try database.run("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name") { row throws(SluiceError) in
            out.append((0..<4).map { row.text($0) }.joined(separator: "\u{1}"))
        }
        return out
    }
}
