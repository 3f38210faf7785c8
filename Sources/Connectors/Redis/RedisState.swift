public import SluiceCore
import SluiceNet
public import SluiceTelemetry
import Synchronization

/// The shared state of several processes, in a Redis server.
///
/// Every change is one script, so that whoever reads sees all of it or nothing. While the server cannot be reached, a call waits and
/// tries again within the policy of the options. A change whose answer was lost carries a token, by which the server knows that it
/// was made already. What was acknowledged is as durable as the server's settings: with `appendonly yes` and `appendfsync always`
/// it survives a power cut, and a server that is set otherwise is warned of in the log.
public final class RedisState: SharedState {
    private let options: RedisOptions
    private let link: RedisLink
    private let time: TimeSource
    private let log: Log
    private let random: Mutex<SeededRandom>
    /// Begins the tokens of this object; no two objects have the same.
    private let origin: String
    private let changes = Atomic<UInt64>(0)

    /// Connects, so that a wrong address or password shows now. Throws `redis_unavailable` (class `retry`), `redis_refused` or
    /// `redis_unfit` (class `config`), or `redis_stuck` (class `pause`).
    public static func open(
        _ options: RedisOptions, time: TimeSource = .live, random: SeededRandom = SeededRandom(seed: .random(in: 0 ... .max)),
        log: Log = .disabled
    ) async throws -> RedisState {
        let state = RedisState(options, time: time, random: random, log: log)
        _ = try await state.run(RedisCommand("PING"))
        return state
    }

    /// The same server over the same connection, for those who go on without it: what fails is tried once more, and no longer.
    public var impatient: RedisState {
        var options = options
        options.retry.attempts = 2
        return RedisState(options, link: link, time: time, random: random.withLock { SeededRandom(seed: $0.next()) }, log: .disabled)
    }

    private init(_ options: RedisOptions, link: RedisLink? = nil, time: TimeSource, random: SeededRandom, log: Log) {
        self.options = options
        self.time = time
        self.log = log
        self.random = Mutex(random)
        self.link = link ?? RedisLink(options, log: log)
        // By the system's randomness, not by the seed: with the same seed two processes would take each other's changes for their own.
        origin = String(UInt128.random(in: 0 ... .max), radix: 36)
    }

    /// Lets the connection go; every call after that throws.
    public func close() async { await link.close() }

    public func version(of key: StateKey) async throws -> UInt64 {
        number(try await run(.script(RedisScripts.version, [bytes(options.namespace), RedisKey.name(key)])))
    }

    public func snapshot(of key: StateKey) async throws -> StateSnapshot {
        let reply = try await run(.script(RedisScripts.snapshot, [bytes(options.namespace), RedisKey.name(key)]))
        guard case .array(let parts) = reply, let first = parts.first, parts.count & 1 == 1 else { throw foreign("members of \(key)") }
        var entries: [StateSnapshot.Entry] = []
        entries.reserveCapacity(parts.count / 2)
        for at in stride(from: 1, to: parts.count, by: 2) {
            guard case .array(let items) = parts[at + 1] else { throw foreign("items of \(key)") }
            entries.append(.init(member: try text(parts[at]), items: try items.map { try text($0) }))
        }
        return StateSnapshot(version: number(first), entries: entries)
    }

    public func keys(of pipeline: String) async throws -> [StateKey] {
        let name = bytes(options.namespace + "keys:") + RedisKey.encoded(pipeline)
        guard case .array(let fields) = try await run(RedisCommand([bytes("SMEMBERS"), name])) else { throw foreign("keys of \(pipeline)") }
        return try fields.map { field in
            guard case .bytes(let name) = field, let key = RedisKey.key(of: pipeline, field: name) else {
                throw foreign("keys of \(pipeline)")
            }
            return key
        }.sorted()
    }

    public func apply(_ change: StateChange) async throws {
        let arguments: [[UInt8]]
        switch change {
        case .set(let members, let key): arguments = Self.operation("set", key) + members.map(bytes)
        case .insert(let members, let key): arguments = Self.operation("insert", key) + members.map(bytes)
        case .insertUnder(let member, let items, let key):
            arguments = Self.operation("insert_under", key) + [bytes(member)] + items.map(bytes)
        case .remove(let members, let key): arguments = Self.operation("remove", key) + members.map(bytes)
        case .removeUnder(let member, let items, let key):
            arguments = Self.operation("remove_under", key) + [bytes(member)] + items.map(bytes)
        case .exchange(let removing, let adding, let key):
            let entries = (removing + adding).flatMap { [bytes($0.member), bytes("\($0.items.count)")] + $0.items.map(bytes) }
            arguments = Self.operation("exchange", key) + [bytes("\(removing.count)")] + entries
        case .delete(let key): arguments = Self.operation("delete", key)
        case .deletePipeline(let pipeline): arguments = [bytes("delete_pipeline"), RedisKey.encoded(pipeline)]
        case .merge(let pipeline, let other): arguments = [bytes("merge"), RedisKey.encoded(pipeline), RedisKey.encoded(other)]
        }
        let token = origin + "-" + String(changes.add(1, ordering: .relaxed).newValue)
        _ = try await run(.script(RedisScripts.change, [bytes(options.namespace), bytes(token)] + arguments))
    }

    // MARK: - Asking

    /// Sends a command until it is answered, within the policy.
    private func run(_ command: RedisCommand) async throws -> RedisReply {
        var failures = 0
        let start = time.now()
        while true {
            do throws(SluiceError) {
                let reply = try await link.run(command)
                if failures > 0 { log.info("redis answers again", ["server": "\(options.shown)"]) }
                return reply
            } catch {
                guard error.class == .retry else { throw error }
                failures += 1
                let elapsed = time.now() - start
                let delay = random.withLock { options.retry.delay(afterFailures: failures, elapsed: elapsed, random: &$0) }
                guard let delay else { throw error }
                if failures == 1 { log.warning("redis does not answer; trying again", ["error": "\(error)"]) }
                // The first time at once: mostly a connection that was idle for too long is all that is wrong.
                try await time.sleep(failures == 1 ? .zero : delay)
            }
        }
    }

    // MARK: - Texts

    private func number(_ reply: RedisReply) -> UInt64 {
        switch reply {
        case .bytes(let digits): UInt64(String(decoding: digits, as: UTF8.self)) ?? 0
        case .integer(let number): UInt64(clamping: number)
        case .null, .array, .error: 0
        }
    }

    private func text(_ reply: RedisReply) throws -> String {
        guard case .bytes(let bytes) = reply, let text = String(validating: bytes, as: UTF8.self) else {
            throw foreign("a member that is no text")
        }
        return text
    }

    private func foreign(_ what: String) -> SluiceError {
        RedisFault.foreign("it holds \(what) in a form that is not ours", server: options.shown)
    }

    private static func operation(_ name: String, _ key: StateKey) -> [[UInt8]] {
        [bytes(name), RedisKey.encoded(key.pipeline), RedisKey.field(key)]
    }
}
