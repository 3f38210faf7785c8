public import SluiceCore
import SluiceNet

extension SluiceError.Code {
    /// Object storage cannot be reached, or is busy for too long.
    public static let bucketUnavailable = Self("bucket_unavailable")
    /// Object storage refuses the key, the bucket or the request.
    public static let bucketRefused = Self("bucket_refused")
    /// Object storage answers something that cannot be.
    public static let bucketFailed = Self("bucket_failed")
}

/// What answers of object storage mean for the runtime. Pure.
enum BucketFault {
    /// Whether the same request may go through later.
    static func passes(_ status: Int, _ code: String) -> Bool {
        [429, 500, 502, 503, 504].contains(status) || ["SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable"].contains(code)
    }

    /// - Parameter body: of the answer: an error in XML, or whatever a proxy says.
    static func error(_ status: Int, _ body: String, doing: String) -> SluiceError {
        let code = XMLText.value("Code", in: body) ?? ""
        let said = XMLText.value("Message", in: body) ?? "no reason was given"
        let text = "\(doing): \(said.prefix(300)) (\(code.isEmpty ? "" : "\(code), ")status \(status))"
        if passes(status, code) { return SluiceError(.bucketUnavailable, .retry, text, mend: "check the load and the log of the server") }
        switch code {
        case "SignatureDoesNotMatch", "InvalidAccessKeyId", "InvalidToken", "ExpiredToken", "TokenRefreshRequired", "InvalidClientTokenId":
            return SluiceError(.bucketRefused, .config, text, mend: "check the sink's access_key, secret_key and session_token")
        case "AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "IllegalLocationConstraintException":
            return SluiceError(.bucketRefused, .config, text, mend: "check the sink's region and endpoint: the bucket is elsewhere")
        case "RequestTimeTooSkewed": return SluiceError(.bucketRefused, .pause, text, mend: "set this machine's clock")
        case "NoSuchBucket", "InvalidBucketName":
            return SluiceError(.bucketRefused, .config, text, mend: "make the bucket, or check its name, the endpoint and path_style")
        case "AccessDenied", "AllAccessDisabled":
            return SluiceError(.bucketRefused, .pause, text, mend: "give the key the right to list, read, write and delete in the bucket")
        case "InvalidObjectState":
            return SluiceError(
                .bucketRefused, .pause, text, mend: "the object is in cold storage: restore it there, or choose a longer cold_after")
        default: return SluiceError(.bucketFailed, .pause, text, mend: "check the server's log, and the room that it has")
        }
    }

    /// Whether an error says that the server does not have what was asked for.
    static func isUnknown(_ error: SluiceError) -> Bool {
        ["(NotImplemented,", "(MethodNotAllowed,", "status 501)"].contains { error.message.contains($0) }
    }

    static func error(_ failure: HTTPFailure, doing: String) -> SluiceError {
        SluiceError(.bucketUnavailable, .retry, "\(doing): \(failure)", mend: "check that the endpoint is right and can be reached")
    }
}

/// As much of XML as answers of object storage need: elements by name, and their text.
enum XMLText {
    /// The insides of all elements of a name that are not within one another.
    static func elements(_ name: String, in text: some StringProtocol) -> [Substring] {
        var out: [Substring] = []
        var rest = Substring(text)
        while let open = rest.firstRange(of: "<\(name)>") {
            rest = rest[open.upperBound...]
            guard let close = rest.firstRange(of: "</\(name)>") else { break }
            out.append(rest[..<close.lowerBound])
            rest = rest[close.upperBound...]
        }
        return out
    }

    /// The text of the first element of a name.
    static func value(_ name: String, in text: some StringProtocol) -> String? {
        elements(name, in: text).first.map { plain($0) }
    }

    /// Text as XML writes it.
    static func escaped(_ text: String) -> String {
        let named = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("'", "&apos;"), ("\r", "&#13;")]
        return named.reduce(text) { $0.replacing($1.0, with: $1.1) }
    }

    private static func plain(_ text: Substring) -> String {
        let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#34;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")]
        return named.reduce(String(text)) { $0.replacing($1.0, with: $1.1) }
    }
}
