import SluiceConfig
import SluiceCore

/// Reads `redis://` URLs.
enum RedisURL {
    static func parse(_ text: String) throws(SluiceError) -> RedisOptions {
        guard let split = text.firstRange(of: "://") else { throw wrong("it is no URL") }
        switch text[..<split.lowerBound].lowercased() {
        case "redis": break
        case "rediss":
            throw wrong(
                "this program speaks to Redis without TLS", mend: "reach the server through a private network or a tunnel, by redis://")
        default: throw wrong("it does not begin with redis://")
        }
        let rest = text[split.upperBound...]
        guard !rest.contains("?"), !rest.contains("#") else { throw wrong("it has a query or a fragment, which mean nothing here") }
        let parts = rest.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        var options = RedisOptions()
        var place = parts[0]
        if let at = place.lastIndex(of: "@") {
            try credentials(place[..<at], into: &options)
            place = place[place.index(after: at)...]
        }
        try address(place, into: &options)
        if parts.count > 1, !parts[1].isEmpty {
            guard let database = number(parts[1]), database <= 1_000_000 else {
                throw wrong("behind the host comes the database, a number")
            }
            options.database = database
        }
        return options
    }

    private static func credentials(_ text: Substring, into options: inout RedisOptions) throws(SluiceError) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else {
            throw wrong("it has a user but no password", mend: "write redis://user:password@host, or redis://:password@host")
        }
        guard let user = decoded(parts[0]), let password = decoded(parts[1]) else {
            throw wrong("user or password are not percent-encoded as they should be")
        }
        guard !password.isEmpty else { throw wrong("the password is empty", mend: "check that its variable is set") }
        options.user = user.isEmpty ? nil : user
        options.password = Secret(password)
    }

    private static func address(_ text: Substring, into options: inout RedisOptions) throws(SluiceError) {
        var port: Substring?
        if text.first == "[" {
            guard let close = text.firstIndex(of: "]") else { throw wrong("a bracket is not closed") }
            options.host = String(text[text.index(after: text.startIndex)..<close])
            let behind = text[text.index(after: close)...]
            guard behind.isEmpty || behind.first == ":" else { throw wrong("behind the address comes a port or nothing") }
            port = behind.isEmpty ? nil : behind.dropFirst()
            guard !options.host.isEmpty, options.host.allSatisfy({ $0.isHexDigit || $0 == ":" || $0 == "." || $0 == "%" }) else {
                throw wrong("in brackets comes an IPv6 address")
            }
        } else {
            let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            options.host = String(parts[0])
            port = parts.count > 1 ? parts[1] : nil
            let isName = options.host.utf8.allSatisfy { byte in
                (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || [45, 46, 95].contains(byte)
            }
            guard !options.host.isEmpty, isName else { throw wrong("it names no host") }
        }
        guard let port else { return }
        guard let number = number(port), (1...65_535).contains(number) else { throw wrong("the port is no number from 1 to 65535") }
        options.port = number
    }

    private static func number(_ text: Substring) -> Int? {
        text.utf8.count <= 7 && text.utf8.allSatisfy { (48...57).contains($0) } ? Int(text) : nil
    }

    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var left = Array(text.utf8)[...]
        while let byte = left.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = left.popFirst().flatMap(nibble), let low = left.popFirst().flatMap(nibble) else { return nil }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func nibble(_ digit: UInt8) -> UInt8? { Character(UnicodeScalar(digit)).hexDigitValue.map { UInt8($0) } }

    private static func wrong(
        _ words: String, mend: String = "write redis://user:password@host:port/database; all but the host may be left out"
    ) -> SluiceError {
        SluiceError(.redisURL, .config, "the URL of the Redis server cannot be used: \(words)", mend: mend)
    }
}
