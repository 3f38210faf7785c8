/// How much a server takes at once. Pure.
struct RedisLimits: Hashable {
    /// Bytes of one part of a command: a key, a value, a field of an entry (`proto-max-bulk-len`).
    var part: Int
    /// Bytes of a transaction before its end, and of any command (`client-query-buffer-limit`).
    var buffer: Int

    /// What servers are set to when nobody says otherwise.
    static let usual = RedisLimits(part: 512 << 20, buffer: 1 << 30)

    init(part: Int, buffer: Int) {
        self.buffer = buffer
        // A part that fills the buffer alone can never be sent.
        self.part = min(part, max(1, buffer - Self.margin))
    }

    /// What commands are made of besides.
    private static let margin = 64 << 10

    /// Whether so many bytes are more than a transaction may have.
    func isExceeded(by bytes: Int) -> Bool { bytes > buffer - Self.margin }

    static func message(_ bytes: Int, _ limit: Int, _ shown: String) -> String {
        "\(bytes) bytes in one piece are more than redis at \(shown) takes, which is \(limit)"
    }
}
