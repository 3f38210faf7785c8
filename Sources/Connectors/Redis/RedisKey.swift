import SluiceCore

/// How the keys of the shared state are written in a server: their parts with colons between, and what could be mistaken encoded.
enum RedisKey {
    private static let colon = UInt8(ascii: ":")

    /// `<pipeline>:<prefix>:<id>`
    static func name(_ key: StateKey) -> [UInt8] { encoded(key.pipeline) + [colon] + field(key) }

    /// `<prefix>:<id>`
    static func field(_ key: StateKey) -> [UInt8] { encoded(key.prefix) + [colon] + encoded(key.id) }

    /// Out of `<prefix>:<id>`; nil when it is none.
    static func key(of pipeline: String, field: [UInt8]) -> StateKey? {
        let parts = field.split(separator: colon, omittingEmptySubsequences: false)
        guard parts.count == 2, let prefix = decoded(parts[0]), let id = decoded(parts[1]) else { return nil }
        return StateKey(pipeline: pipeline, prefix: prefix, id: id)
    }

    static func encoded(_ text: String) -> [UInt8] { encoded(text.utf8) }

    static func encoded(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        bytes.flatMap { byte in
            switch byte {
            case UInt8(ascii: "%"): Array("%25".utf8)
            case colon: Array("%3A".utf8)
            default: [byte]
            }
        }
    }

    private static func decoded(_ bytes: ArraySlice<UInt8>) -> String? {
        var out: [UInt8] = []
        var left = bytes
        while let byte = left.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                out.append(byte)
                continue
            }
            switch (left.popFirst(), left.popFirst()) {
            case (UInt8(ascii: "2"), UInt8(ascii: "5")): out.append(byte)
            case (UInt8(ascii: "3"), UInt8(ascii: "A")): out.append(colon)
            default: return nil
            }
        }
        return String(validating: out, as: UTF8.self)
    }
}
