/// A checked URL. Providers put keys into user info, path and query, so only scheme, host and port are ever shown.
public struct ConfigURL: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Lower case.
    public let scheme: String
    /// A name or an address; an IPv6 address without its brackets.
    public let host: String
    /// As written; nil when the scheme's own is meant.
    public let port: Int?
    private let text: String

    /// What is wrong with a text that should be a URL.
    enum Fault: Error {
        case shape
        case scheme(String)
        case host
        case port
    }

    init(_ text: String, schemes: [String]) throws(Fault) {
        // Anything but printable ASCII belongs percent-encoded; letting it through would differ between programs.
        guard text.utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != 0x22 && $0 != 0x5C }), let split = text.firstRange(of: "://") else {
            throw .shape
        }
        let scheme = text[..<split.lowerBound].lowercased()
        guard schemes.contains(scheme) else { throw .scheme(scheme) }
        let rest = text[split.upperBound...]
        var authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        if let at = authority.lastIndex(of: "@") { authority = authority[authority.index(after: at)...] }
        var portText: Substring?
        if authority.first == "[" {
            guard let close = authority.firstIndex(of: "]") else { throw .host }
            host = String(authority[authority.index(after: authority.startIndex)..<close])
            guard !host.isEmpty, host.allSatisfy({ $0.isHexDigit || $0 == ":" || $0 == "." }) else { throw .host }
            let behind = authority[authority.index(after: close)...]
            guard behind.isEmpty || behind.first == ":" else { throw .host }
            portText = behind.isEmpty ? nil : behind.dropFirst()
        } else {
            let parts = authority.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            host = String(parts.first ?? "")
            guard !host.isEmpty, host.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "." || $0 == "-" || $0 == "_" }) else { throw .host }
            portText = parts.count > 1 ? parts[1] : nil
        }
        if let portText {
            guard let number = UInt16(portText), number > 0, portText.first != "+" else { throw .port }
            port = Int(number)
        } else {
            port = nil
        }
        self.scheme = scheme
        self.text = text
    }

    /// The whole URL with whatever keys are in it. For the one place that connects.
    public func reveal() -> String { text }

    /// Scheme, host and port; `/***` stands for a path, query or user info.
    public var description: String {
        let shownHost = host.contains(":") ? "[\(host)]" : host
        let origin = "\(scheme)://\(shownHost)" + (port.map { ":\($0)" } ?? "")
        let start = text.index(text.startIndex, offsetBy: scheme.count + 3)
        let rest = text[start...]
        let bare = rest.contains("@") == false && rest.drop { $0 != "/" && $0 != "?" && $0 != "#" }.allSatisfy { $0 == "/" }
        return bare ? origin : origin + "/***"
    }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [], displayStyle: .struct) }
}
