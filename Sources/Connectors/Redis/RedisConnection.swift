import CHiredis
import Glibc
import SluiceConfig
import SluiceCore

/// One connection. It belongs to the thread that made it, and blocks that thread.
///
/// After an error it is of no use any more: what the server sends late would be taken for the answer to something else.
final class RedisConnection {
    private let context: UnsafeMutablePointer<redisContext>
    private let options: RedisOptions

    /// Connects, and signs in. Throws `redis_unavailable` (class `retry`) or what the server says.
    init(_ options: RedisOptions) throws(SluiceError) {
        self.options = options
        // A server that is gone must end a call, not the process: the library writes without saying so. This thread has no other use.
        var pipe = sigset_t()
        sigemptyset(&pipe)
        sigaddset(&pipe, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &pipe, nil)
        guard let context = redisConnectWithTimeout(options.host, Int32(options.port), Self.time(options.connectTimeout)) else {
            throw RedisFault.unavailable("out of memory", server: options.shown)
        }
        self.context = context
        guard context.pointee.err == 0 else { throw failure(within: options.connectTimeout) }
        redisSetTimeout(context, Self.time(options.replyTimeout))
        redisEnableKeepAlive(context)
        if let password = options.password?.reveal() {
            let credentials = (options.user.map { [$0] } ?? []) + [password]
            try expectSuccess(RedisCommand([Array("AUTH".utf8)] + credentials.map { Array($0.utf8) }))
        }
        if options.database != 0 { try expectSuccess(RedisCommand("SELECT", String(options.database))) }
    }

    deinit { redisFree(context) }

    /// Sends a command and waits for its answer, which may be an error of the server's. Throws `redis_unavailable` (class `retry`).
    func run(_ command: RedisCommand) throws(SluiceError) -> RedisReply {
        guard let raw = send(command) else { throw failure(within: options.replyTimeout) }
        defer { freeReplyObject(raw) }
        return RedisReply(UnsafePointer(raw.assumingMemoryBound(to: redisReply.self)))
    }

    /// Sends commands at once, then hands over the answers one by one; `body` must not keep them.
    /// - Throws: `redis_unavailable` (class `retry`): what was sent may have been done or not.
    func exchange(_ commands: RedisCommands, _ body: (UnsafePointer<redisReply>) -> Void) throws(SluiceError) {
        let isSent = commands.bytes.withUnsafeBufferPointer { bytes in
            var at = 0
            while at < bytes.count {
                // Piece by piece, so that the library's copy stays small.
                let count = min(bytes.count - at, 256 << 10)
                let isTaken = bytes.baseAddress.map { base in
                    (base + at).withMemoryRebound(to: CChar.self, capacity: count) { redisAppendFormattedCommand(context, $0, count) }
                }
                guard isTaken == REDIS_OK else { return false }
                at += count
                var isDone: Int32 = 0
                while isDone == 0 { if redisBufferWrite(context, &isDone) != REDIS_OK { return false } }
            }
            return true
        }
        guard isSent else { throw failure(within: options.replyTimeout) }
        for _ in 0..<commands.count {
            var raw: UnsafeMutableRawPointer?
            guard redisGetReply(context, &raw) == REDIS_OK, let raw else { throw failure(within: options.replyTimeout) }
            body(UnsafePointer(raw.assumingMemoryBound(to: redisReply.self)))
            freeReplyObject(raw)
        }
    }

    /// The same, with copies of the answers.
    func answers(to commands: RedisCommands) throws(SluiceError) -> [RedisReply] {
        var replies: [RedisReply] = []
        try exchange(commands) { replies.append(RedisReply($0)) }
        return replies
    }

    private func expectSuccess(_ command: RedisCommand) throws(SluiceError) {
        if case .error(let text) = try run(command) { throw RedisFault.error(text, server: options.shown) }
    }

    private func send(_ command: RedisCommand) -> UnsafeMutableRawPointer? {
        // The parts one behind the other, so that their addresses hold while the library reads them. One byte more: empty parts need an
        // address too.
        let bytes = Array(command.parts.joined()) + [0]
        let lengths = command.parts.map(\.count)
        return bytes.withUnsafeBytes { bytes in
            let base = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
            var at = 0
            var pointers = lengths.map { length -> UnsafePointer<CChar>? in
                defer { at += length }
                return base.map { $0 + at }
            }
            return redisCommandArgv(context, Int32(lengths.count), &pointers, lengths)
        }
    }

    private func failure(within limit: Duration) -> SluiceError {
        let isLate = context.pointee.err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ETIMEDOUT)
        let words = withUnsafeBytes(of: context.pointee.errstr) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return RedisFault.unavailable(isLate ? "it says nothing for \(limit)" : words.lowercased(), server: options.shown)
    }

    private static func time(_ duration: Duration) -> timeval {
        let (seconds, attoseconds) = duration.components
        return timeval(tv_sec: Int(seconds), tv_usec: Int(attoseconds / 1_000_000_000_000))
    }
}
