import CSHA256

/// SHA-256, and HMAC over it (RFC 2104).
enum SHA256 {
    static func hash(_ bytes: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 32) { target, count in
            guard let out = target.baseAddress else { return }
            bytes.withUnsafeBytes { csha256($0.baseAddress, $0.count, out) }
            count = 32
        }
    }

    static func hmac(_ key: [UInt8], _ text: String) -> [UInt8] {
        let short = key.count > 64 ? hash(key) : key
        let padded = short + [UInt8](repeating: 0, count: 64 - short.count)
        return hash(padded.map { $0 ^ 0x5C } + hash(padded.map { $0 ^ 0x36 } + Array(text.utf8)))
    }

    /// Lower-case digits.
    static func text(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
