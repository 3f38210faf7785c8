import SluiceConfig
import SluiceCore

/// Names of topics out of a template. Pure.
enum TopicName {
    /// - Throws: `kafka_topic` (class `config`) when the name is none, or a placeholder is not known.
    static func make(_ template: String, table: String, stream: StreamID) throws(SluiceError) -> String {
        var name = ""
        var rest = template[...]
        while let open = rest.firstIndex(of: "{") {
            name += rest[..<open]
            guard let close = rest[open...].firstIndex(of: "}") else { throw fault(template, "a { is not closed") }
            let word = rest[rest.index(after: open)..<close]
            switch word {
            case "chain": name += chain(stream.chainID)
            case "chain_id": name += "\(stream.chainID)"
            case "table": name += table
            case "short": name += short(table)
            case "pipeline": name += stream.pipeline
            default: throw fault(template, "{\(word)} is not known")
            }
            rest = rest[rest.index(after: close)...]
        }
        name += rest
        guard isLegal(name) else { throw fault(template, "it makes '\(name)' of table \(table)") }
        return name
    }

    /// Letters, digits, `.`, `_` and `-`, at most 249 of them, and not only dots.
    static func isLegal(_ name: String) -> Bool {
        (1...249).contains(name.utf8.count) && name != "." && name != ".."
            && name.utf8.allSatisfy { byte in
                (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == 45 || byte == 46 || byte == 95
            }
    }

    /// `avalanche-c` is `avalanche` here.
    private static func chain(_ id: UInt64) -> String {
        NetworkPreset.of(chainID: id).map { String($0.name.prefix { $0 != "-" }) } ?? "chain"
    }

    private static func short(_ table: String) -> String {
        table.hasSuffix("_transfers") && table != "_transfers" ? String(table.dropLast("_transfers".count)) : table
    }

    private static func fault(_ template: String, _ problem: String) -> SluiceError {
        SluiceError(
            .kafkaTopic, .config, "topic '\(template)' cannot name a topic: \(problem)",
            mend: "use letters, digits, '.', '_', '-' and {chain}, {chain_id}, {table}, {short}, {pipeline}")
    }
}
