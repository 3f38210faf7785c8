internal import SluiceCore

/// Puts `${X}`, `${X:-default}` and `${file:/path}` into the leaves of a parsed tree. The tree's shape is fixed by then, so
/// no value can change the structure, whatever characters it holds. `$$` is a dollar sign; what is put in is not read again.
struct Interpolation {
    let environment: ConfigEnvironment
    /// Places and messages of what could not be put in.
    private(set) var failures: [(node: YAMLNode, path: String, message: String, suggestion: String?)] = []

    init(_ environment: ConfigEnvironment) { self.environment = environment }

    mutating func apply(to node: YAMLNode, path: String = "") -> YAMLNode {
        switch node.content {
        case .scalar(let text, _):
            guard text.utf8.contains(UInt8(ascii: "$")) else { return node }
            return scalar(text, node, path)
        case .sequence(let items):
            var out: [YAMLNode] = []
            for (index, item) in items.enumerated() { out.append(apply(to: item, path: "\(path)[\(index)]")) }
            return YAMLNode(.sequence(out), mark: node.mark, end: node.end)
        case .mapping(let entries):
            var out: [YAMLEntry] = []
            for entry in entries {
                let below = path.isEmpty ? entry.key : "\(path).\(entry.key)"
                out.append(YAMLEntry(key: entry.key, keyMark: entry.keyMark, value: apply(to: entry.value, path: below)))
            }
            return YAMLNode(.mapping(out), mark: node.mark, end: node.end)
        }
    }

    private mutating func scalar(_ text: String, _ node: YAMLNode, _ path: String) -> YAMLNode {
        var out = ""
        var rest = text[...]
        var replaced = false
        while let dollar = rest.firstIndex(of: "$") {
            out += rest[..<dollar]
            let behind = rest[rest.index(after: dollar)...]
            if behind.first == "$" {
                out += "$"
                rest = behind.dropFirst()
            } else if behind.first == "{" {
                guard let close = behind.firstIndex(of: "}") else {
                    return unresolved(node, path, "\"${\" without \"}\"", "write $$ for a dollar sign")
                }
                let body = behind[behind.index(after: behind.startIndex)..<close]
                switch value(of: body) {
                case .success(let value): out += value
                case .failure(let failure): return unresolved(node, path, failure.message, failure.suggestion)
                }
                rest = behind[behind.index(after: close)...]
                replaced = true
            } else {
                out += "$"
                rest = behind
            }
        }
        out += rest
        let origin: YAMLNode.Origin = replaced ? .interpolated : .quoted
        return YAMLNode(.scalar(out, origin), raw: node.raw, mark: node.mark, end: node.end)
    }

    private struct Unset: Error {
        let message: String
        let suggestion: String?
    }

    private func value(of body: Substring) -> Result<String, Unset> {
        if body.hasPrefix("file:") {
            let path = String(body.dropFirst(5))
            do {
                var text = try environment.file(path)
                // Editors and `echo` end a file with a line break that is not part of the secret.
                if text.utf8.last == 10 { text = String(text.unicodeScalars.dropLast()) }
                if text.utf8.last == 13 { text = String(text.unicodeScalars.dropLast()) }
                return .success(text)
            } catch {
                return .failure(Unset(message: "cannot read the file \"\(path)\": \(error)", suggestion: nil))
            }
        }
        var name = body
        var fallback: Substring?
        if let range = body.firstRange(of: ":-") {
            name = body[..<range.lowerBound]
            fallback = body[range.upperBound...]
        }
        guard let first = name.utf8.first, Self.letter(first), name.utf8.allSatisfy({ Self.letter($0) || (48...57).contains($0) }) else {
            return .failure(
                Unset(
                    message: "\"${\(name)}\" does not name a variable",
                    suggestion: "write ${NAME}, ${NAME:-default}, ${file:/path}, or $$ for a dollar sign"))
        }
        let value = environment.variable(String(name))
        if let fallback, value ?? "" == "" { return .success(String(fallback)) }
        guard let value else {
            return .failure(
                Unset(message: "the environment variable \(name) is not set", suggestion: "set it, or give a default: ${\(name):-value}"))
        }
        return .success(value)
    }

    private static func letter(_ byte: UInt8) -> Bool { byte == 95 || (97...122).contains(byte | 0x20) && byte >= 65 }

    private mutating func unresolved(_ node: YAMLNode, _ path: String, _ message: String, _ suggestion: String?) -> YAMLNode {
        failures.append((node, path, message, suggestion))
        return YAMLNode(.scalar("", .unresolved), raw: node.raw, mark: node.mark, end: node.end)
    }
}
