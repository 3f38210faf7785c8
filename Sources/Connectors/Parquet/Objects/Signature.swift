import SluiceConfig

/// Signs requests to object storage (AWS Signature Version 4). Pure.
struct Signature {
    let accessKey: String
    let secretKey: Secret
    let sessionToken: Secret?
    let region: String

    /// The headers that a request needs beside those given, which are signed as well.
    /// - Parameters:
    ///   - path: encoded, as it stands in the request.
    ///   - query: names and values, not encoded.
    ///   - payload: SHA-256 of the body.
    ///   - seconds: since 1970.
    func headers(
        _ method: String, host: String, path: String, query: [(String, String)], headers: [(String, String)] = [], payload: [UInt8],
        at seconds: Int64
    ) -> [(name: String, value: String)] {
        let stamp = Moment.text(seconds)
        let day = String(stamp.prefix(8))
        let content = SHA256.text(payload)
        var own: [(String, String)] = [("x-amz-content-sha256", content), ("x-amz-date", stamp)]
        if let sessionToken { own.append(("x-amz-security-token", sessionToken.reveal())) }
        let signed = (headers.map { ($0.lowercased(), $1) } + own + [("host", host)]).sorted { $0.0 < $1.0 }
        let names = signed.map(\.0).joined(separator: ";")
        let canonical = [
            method, path, Self.canonical(query), signed.map { "\($0):\(Self.trimmed($1))\n" }.joined(), names, content,
        ].joined(separator: "\n")
        let scope = "\(day)/\(region)/s3/aws4_request"
        let text = ["AWS4-HMAC-SHA256", stamp, scope, SHA256.text(SHA256.hash(Array(canonical.utf8)))].joined(separator: "\n")
        let key = [region, "s3", "aws4_request"].reduce(SHA256.hmac(Array("AWS4\(secretKey.reveal())".utf8), day)) { SHA256.hmac($0, $1) }
        let authorization =
            "AWS4-HMAC-SHA256 Credential=\(accessKey)/\(scope), SignedHeaders=\(names), Signature=\(SHA256.text(SHA256.hmac(key, text)))"
        return (headers + own + [("Authorization", authorization)]).map { (name: $0.0, value: $0.1) }
    }

    /// A query in the order in which it is signed, encoded.
    static func canonical(_ query: [(String, String)]) -> String {
        query.map { (encoded($0.0), encoded($0.1)) }.sorted { $0 < $1 }.map { "\($0)=\($1)" }.joined(separator: "&")
    }

    /// Everything but letters, digits and `-._~` as `%XX`.
    /// - Parameter slashes: whether slashes stand for themselves, as in a path.
    static func encoded(_ text: String, slashes: Bool = false) -> String {
        text.utf8.map { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: String(UnicodeScalar(byte))
            case 0x2F where slashes: "/"
            default: "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }.joined()
    }

    private static func trimmed(_ value: String) -> String { value.split(separator: " ").joined(separator: " ") }
}

/// A moment as signatures write it: `20130524T000000Z`.
enum Moment {
    static func text(_ seconds: Int64) -> String {
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let rest = seconds % 86_400
        // Days since the first of March of the year 0; years begin in March, so that a leap day is the last of its year.
        let day = seconds / 86_400 + 719_468
        let era = day / 146_097
        let dayOfEra = day % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let date = dayOfYear - (153 * month + 2) / 5 + 1
        let year = yearOfEra + era * 400 + (month >= 10 ? 1 : 0)
        return "\(year)\(two(month < 10 ? month + 3 : month - 9))\(two(date))T\(two(rest / 3600))\(two(rest / 60 % 60))\(two(rest % 60))Z"
    }
}
