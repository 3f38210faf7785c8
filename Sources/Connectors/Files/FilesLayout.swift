import SluiceCore
import SluiceFormats

/// Where things lie in the sink's folder: names depend on table, chain and the first block alone.
struct FilesLayout: Sendable {
    let directory: String
    let chainID: UInt64
    let format: TextRows.Format

    /// What says which bytes of the files count, and of which blocks they are.
    var record: String { "\(records)/\(chainID).json" }
    var records: String { "\(directory)/_positions" }
    /// Held by the process that writes.
    var lock: String { "\(records)/\(chainID).lock" }

    func folder(_ table: String) -> String { "\(directory)/\(table)/chain_id=\(chainID)" }

    /// The file of a table whose first block is `first`.
    func file(_ table: String, _ first: UInt64) -> String { "\(folder(table))/\(name(table, first))" }

    /// Where what is to take that file's place lies until then. It is no name that readers look for.
    func staged(_ table: String, _ first: UInt64) -> String { "\(folder(table))/.\(name(table, first))\(Self.next)" }
    static let next = ".next"

    func name(_ table: String, _ first: UInt64) -> String {
        let digits = String(first)
        return "\(table)_\(String(repeating: "0", count: max(0, 12 - digits.count)))\(digits).\(format.rawValue)"
    }
}
