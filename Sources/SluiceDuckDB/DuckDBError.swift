public import SluiceCore

extension SluiceError.Code {
    /// The library is missing or of another version.
    public static let duckdbLibrary = Self("duckdb.library")
    /// A database file cannot be opened.
    public static let duckdbOpen = Self("duckdb.open")
    /// A database file is open in another process, or twice in this one.
    public static let duckdbLocked = Self("duckdb.locked")
    /// The disk is full or a file may grow no further.
    public static let duckdbFull = Self("duckdb.full")
    /// Reading or writing a file failed in another way.
    public static let duckdbIO = Self("duckdb.io")
    /// A statement needs more memory than its limit.
    public static let duckdbMemory = Self("duckdb.memory")
    /// A statement is wrong.
    public static let duckdbSQL = Self("duckdb.sql")
    /// The database refuses to go on after an error; it must be reopened.
    public static let duckdbInvalidated = Self("duckdb.invalidated")
}

/// Turns what DuckDB says into an error with a class. DuckDB has no codes for causes below "IO error", so its text decides.
enum DuckDBError {
    /// - Parameter doing: what was being done, to what; lower case.
    static func error(_ text: String, doing: String) -> any Error {
        if text.hasPrefix("INTERRUPT") { return CancellationError() }
        let message = "\(doing): \(firstLine(text))"
        func made(_ code: SluiceError.Code, _ kind: SluiceError.Class, _ mend: String) -> SluiceError {
            SluiceError(code, kind, message, mend: mend, detail: text)
        }
        if text.contains("Could not set lock on file") {
            let holder = pid(in: text).map { "process \($0)" } ?? "another process"
            return SluiceError(
                .duckdbLocked, .pause, "\(doing): the file is open in \(holder), and only one process may write it",
                mend: "stop \(holder), or give this one another path", detail: text)
        }
        if text.contains("No space left") || text.contains("File too large") || text.contains("Disk quota exceeded")
            || text.contains("max_temp_directory_size")
        {
            return made(.duckdbFull, .pause, "make room on the disk; nothing is lost, and it goes on from the last commit")
        }
        if text.contains("not a valid DuckDB database file") || text.contains("newer version of DuckDB")
            || text.contains("older version of DuckDB")
        {
            return made(.duckdbOpen, .config, "choose another path, or a file that this version of DuckDB can read")
        }
        if text.contains("Permission denied") || text.contains("Read-only file system") || text.contains("read-only mode")
            || text.contains("Cannot open file")
        {
            return made(.duckdbIO, .pause, "give this user the right to write the file and its folder")
        }
        if text.hasPrefix("Out of Memory") { return made(.duckdbMemory, .pause, "raise memory_limit") }
        if text.contains("database has been invalidated") || text.hasPrefix("FATAL") {
            return made(.duckdbInvalidated, .retry, "the database is reopened and goes on from the last commit")
        }
        if text.hasPrefix("IO Error") { return made(.duckdbIO, .pause, "look at the disk and at the file's rights") }
        if text.contains("not UTF-8") { return SluiceError(.duckdbSQL, .data, message, detail: text) }
        return SluiceError(.duckdbSQL, .config, message, detail: text)
    }

    private static func firstLine(_ text: String) -> String {
        String(text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: true).first ?? "unknown error")
    }

    private static func pid(in text: String) -> Substring? {
        // "... Conflicting lock is held in /usr/bin/x (PID 4711). See also ..."
        var rest = text[...]
        while let open = rest.firstIndex(of: "P") {
            rest = rest[open...]
            if rest.hasPrefix("PID ") {
                let digits = rest.dropFirst(4).prefix { $0.isNumber }
                return digits.isEmpty ? nil : digits
            }
            rest = rest.dropFirst()
        }
        return nil
    }
}
