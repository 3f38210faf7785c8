import SluiceCore
import SluiceTelemetry

/// The way to a server: one connection on a thread of its own, made when it is needed and made anew after every failure.
actor RedisLink {
    private nonisolated let thread = WorkerThread(name: "redis")
    private let options: RedisOptions
    private let log: Log
    private var connection: RedisConnection?
    private var isClosed = false
    private var isChecked = false

    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    init(_ options: RedisOptions, log: Log) {
        self.options = options
        self.log = log
    }

    /// One attempt. Throws `redis_unavailable` (class `retry`), or what the server says.
    func run(_ command: RedisCommand) throws(SluiceError) -> RedisReply {
        guard !isClosed else { throw SluiceError(.redisUnavailable, .fatal, "the connection to redis at \(options.shown) was closed") }
        do throws(SluiceError) {
            let reply = try connected().run(command)
            guard case .error(let text) = reply else { return reply }
            throw RedisFault.error(text, server: options.shown)
        } catch {
            // Also where the server only says that it cannot now: after a failover its name may lead elsewhere.
            if error.class == .retry { connection = nil }
            throw error
        }
    }

    func close() {
        connection = nil
        isClosed = true
    }

    private func connected() throws(SluiceError) -> RedisConnection {
        if let connection { return connection }
        let made = try RedisConnection(options)
        if !isChecked {
            isChecked = true
            let settings = try RedisSettings(by: made)
            for warning in settings.warnings {
                log.warning("redis may lose shared state", ["server": "\(options.shown)", "why": "\(warning)"])
            }
        }
        connection = made
        return made
    }
}
