/// A URL as it may be shown: scheme, host and port. User names, keys in the path and the query never reach a log.
public struct RedactedURL: Sendable, Hashable, CustomStringConvertible {
    public let description: String

    public init(_ url: some StringProtocol) {
        guard let scheme = url.range(of: "://"), url[..<scheme.lowerBound].utf8.allSatisfy(RedactedURL.isSchemeByte) else {
            description = "***"
            return
        }
        let rest = url[scheme.upperBound...]
        let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" || $0 == "\\" } ?? rest.endIndex
        var authority = rest[..<end]
        if let at = authority.lastIndex(of: "@") { authority = authority[authority.index(after: at)...] }
        // An "@" behind the first slash may belong to a password with a slash in it: then even the host is in doubt.
        let doubtful = rest[end...].contains("@") && !rest[..<end].contains("@") && authority.contains(":")
        let host = authority.utf8.allSatisfy(RedactedURL.isHostByte) && !authority.isEmpty && !doubtful ? String(authority) : "***"
        description = "\(url[..<scheme.lowerBound])://\(host)\(end == rest.endIndex ? "" : "/***")"
    }

    private static func isSchemeByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        isSchemeByte(byte)
            || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "[") || byte == UInt8(ascii: "]") || byte == UInt8(ascii: "_")
    }
}

extension StringProtocol {
    /// The range of the first occurrence of `text`; the standard library has only the regex form.
    fileprivate func range(of text: String) -> Range<Index>? {
        var at = startIndex
        while at < endIndex {
            if self[at...].hasPrefix(text) { return at..<index(at, offsetBy: text.count) }
            at = index(after: at)
        }
        return nil
    }
}
