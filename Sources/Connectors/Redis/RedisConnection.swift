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

    /// Sends commands, whose answers must be received later.
    /// - Throws: `redis_unavailable` (class `retry`), or what the server says before it hangs up.
    func send(_ commands: borrowing RedisCommands) throws(SluiceError) {
        let bytes = commands.bytes
        var done = 0
        while done < bytes.count {
            // Past the library, which would copy it once more.
            let count = Glibc.send(
                context.pointee.fd, bytes.baseAddress.map { $0 + done }, bytes.count - done, Int32(MSG_NOSIGNAL))
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                let reason = errno
                if let words = lastWords() { throw RedisFault.error(words, server: options.shown) }
                let isLate = reason == EAGAIN || reason == EWOULDBLOCK
                throw RedisFault.unavailable(
                    isLate ? "it takes nothing for \(options.replyTimeout)" : String(cString: strerror(reason)).lowercased(),
                    server: options.shown)
            }
            done += count
        }
    }

    /// Receives so many answers, with copies of them.
    func receive(_ count: Int) throws(SluiceError) -> [RedisReply] {
        var replies: [RedisReply] = []
        for _ in 0..<count {
            var raw: UnsafeMutableRawPointer?
            guard redisGetReply(context, &raw) == REDIS_OK, let raw else { throw failure(within: options.replyTimeout) }
            replies.append(RedisReply(UnsafePointer(raw.assumingMemoryBound(to: redisReply.self))))
            freeReplyObject(raw)
        }
        return replies
    }

    /// Receives so many answers, of which only errors and the last one count.
    func receiveEnding(_ count: Int) throws(SluiceError) -> RedisEnding {
        var tally = sluice_tally()
        let outcome = sluice_tally_receive(context, count, &tally)
        // A server that hangs up says why before.
        if outcome != REDIS_OK, tally.refused_at >= 0 { throw RedisFault.error(RedisEnding.text(&tally.refused), server: options.shown) }
        guard outcome == REDIS_OK else { throw failure(within: options.replyTimeout) }
        return RedisEnding(&tally)
    }

    /// The answers to commands.
    func answers(to commands: borrowing RedisCommands) throws(SluiceError) -> [RedisReply] {
        try send(commands)
        return try receive(commands.count)
    }

    /// The error that a server sent before it hung up.
    private func lastWords() -> String? {
        var all: [UInt8] = []
        withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 16) { buffer in
            while case let count = recv(context.pointee.fd, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT)), count > 0 {
                all = all.suffix(1 << 10) + buffer[..<count]
            }
        }
        let line = String(decoding: all.suffix(1 << 10), as: UTF8.self).split(whereSeparator: \.isNewline).last
        return line.flatMap { $0.hasPrefix("-") ? String($0.dropFirst()) : nil }
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
