internal import SluiceCore

extension StateStore {
    /// A value kept under a key; nil when there is none.
    public func meta(_ key: String) throws -> String? {
        var found: String?
        try reading().run("SELECT value FROM meta WHERE key = ?", [.text(key)]) { row throws(SluiceError) in found = row.text(0) }
        return found
    }

    /// Keeps a value under a key; nil removes it.
    public func setMeta(_ key: String, _ value: String?) throws {
        guard let value else { return try writing().run("DELETE FROM meta WHERE key = ?", [.text(key)]) }
        try writing().run("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", [.text(key), .text(value)])
    }

    /// SQLite's integers are signed; block numbers and chain ids beyond that are no real ones.
    static func store(_ number: UInt64) throws(SluiceError) -> SQLiteValue {
        guard let value = Int64(exactly: number) else {
            throw SluiceError(
                SluiceError.Code("number_too_large"), .data, "the number \(number) is too large for a block or a chain",
                mend: "check what the endpoint answers")
        }
        return .int(value)
    }
}
