import CDuckDB
import Glibc
import SluiceCore
import Synchronization

/// DuckDB's shared library, loaded when it is first needed: a program that never opens a database does not pay for it.
public enum DuckDBLibrary {
    /// The version whose wheel `scripts/setup` fetches.
    static let version = "2.0.0"

    private static let outcome = Mutex<Result<String, SluiceError>?>(nil)

    /// Loads the library once and returns where it came from. Looks at `SLUICE_DUCKDB_LIBRARY`, at the loader's own path, and
    /// at the cache folder that `make setup` fills.
    /// - Throws: `config` when there is none, with everything that was tried.
    @discardableResult
    public static func load() throws -> String {
        try outcome.withLock { outcome in
            if let known = outcome { return try known.get() }
            let fresh = attempt()
            outcome = fresh
            return try fresh.get()
        }
    }

    /// The version the library says it is, such as `v2.0.0`.
    public static func libraryVersion() throws -> String {
        try load()
        return duck_library_version().map { String(cString: $0) } ?? "unknown"
    }

    private static func attempt() -> Result<String, SluiceError> {
        var list: [CChar] = []
        for candidate in candidates() {
            list.append(contentsOf: candidate.utf8CString)
        }
        list.append(0)
        var report = [CChar](repeating: 0, count: 4096)
        let failed = duck_load(list, &report, report.count)
        let text = String(decoding: report.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard failed != 0 else { return .success(text) }
        return .failure(
            SluiceError(
                .duckdbLibrary, .config, "loading DuckDB's library: \(text)",
                mend: "run `make setup`, or name a libduckdb.so in SLUICE_DUCKDB_LIBRARY"))
    }

    private static func candidates() -> [String] {
        var found: [String] = []
        if let named = variable("SLUICE_DUCKDB_LIBRARY") { found += forms(of: named) }
        found.append("libduckdb.so")
        let cache = variable("XDG_CACHE_HOME") ?? (variable("HOME") ?? "/root") + "/.cache"
        let folder = "\(cache)/sluice/duckdb-\(version)"
        let wheels = matches("\(folder)/_duckdb*.so")
        // Named even when it is not there: the message then says where it would have been.
        for wheel in wheels.isEmpty ? ["\(folder)/_duckdb.so"] : wheels { found += forms(of: wheel) }
        return found
    }

    /// A wheel's library needs Python's symbols first: from the stub that `scripts/setup` makes, which takes less memory, or from libpython.
    private static func forms(of path: String) -> [String] {
        guard let file = path.split(separator: "/").last, file.hasPrefix("_duckdb") else { return [path] }
        let digits = file.split(separator: "-").dropFirst().first.map { String($0.drop { !$0.isNumber }) } ?? "311"
        let minor = digits.count > 1 ? digits.dropFirst() : "11"
        let folder = path.dropLast(file.count)
        return ["\(folder)libpystub.so|\(path)", "libpython3.\(minor).so.1.0|\(path)"]
    }

    private static func variable(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        let text = String(cString: value)
        return text.isEmpty ? nil : text
    }

    private static func matches(_ pattern: String) -> [String] {
        var found = glob_t()
        defer { globfree(&found) }
        guard glob(pattern, 0, nil, &found) == 0, let paths = found.gl_pathv else { return [] }
        return (0..<Int(found.gl_pathc)).compactMap { paths[$0].map { String(cString: $0) } }
    }
}
