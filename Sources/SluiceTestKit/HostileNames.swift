import SluiceCore

/// Names that would do harm wherever they are taken for more than names. From a seed, so that a run can be brought back.
public struct HostileNames {
    private var random: SeededRandom
    private static let pieces = [
        "\"", "'", "`", "\\", ";", "--", "/*", "*/", "#", "$$", "$1", "?", "%", "%s", "{schema}", "{cut}", "(", ")", ",", ".", "/", "..",
        " ", "\t", "\n",
        "\r", "\u{1}", "\u{7F}", "é", "中", "🦀", "\u{202E}", "a", "Z", "_", "0", "SELECT", "DROP TABLE canary", "DROP SCHEMA sluice CASCADE",
        "OR 1=1",
        "UNION", "pg_sleep(9)", "E'", "U&\"", "\\'", "\\\"", "\\x", "\"\"", "''", "``", "COPY", "ON CLUSTER", "ENGINE", "FORMAT",
        "SETTINGS",
    ]

    /// The same seed gives the same names.
    public init(seed: UInt64) { random = SeededRandom(seed: seed) }

    /// A name of at least one byte and at most `bytes`, that has not come before.
    public mutating func next(bytes: Int) -> String {
        let count = 1 + Int(random.next() % 9)
        var name = "n\(random.next() % 1_000_000)"
        for _ in 0..<count {
            let piece = Self.pieces[Int(random.next() % UInt64(Self.pieces.count))]
            guard name.utf8.count + piece.utf8.count <= bytes else { continue }
            // In front of and behind what else is there.
            name = random.next() % 2 == 0 ? piece + name : name + piece
        }
        return name
    }
}
