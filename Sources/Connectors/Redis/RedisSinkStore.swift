import SluiceConfig
import SluiceCore
import SluiceFormats

/// The server and what is on its way into it, over one connection on one thread.
///
/// A transaction holds rows of one stream and the segments that they bring it to. The word under `epoch`, which the process that opened the
/// stream last has put there, is watched: what another process sends, or this one over a connection that was given up, is not done any more.
/// While the server does what one transaction says, the next one is made and sent, but for its end, which waits for how the one before
/// ended. When anything fails, what was taken and not stored is forgotten, and the stream must ask for its position and resend from there.
actor RedisSinkStore {
    struct Stream {
        let tables: [RedisSinkTable]
        /// What is stored.
        var durable: Coverage
        /// What is covered with all that was taken.
        var taken: Coverage
        var held: [Batch] = []
        var rows = 0
        var bytes = 0
        /// Blocks up to here will not be undone.
        var finalized: UInt64 = 0
        /// Below it displaced values are not kept.
        var floor: UInt64 = 0
        /// The last block of the batch that was stored last, until the caller is told.
        var news: Position?
        var lost = false
        /// Rows were refused, and nobody has gone on since.
        var isRefusing = false
        /// Why it is lost, when that was not told yet.
        var failure: (any Error)?

        /// Forgets what is held.
        mutating func drop() { (held, rows, bytes) = ([], 0, 0) }
        var keepsValues: Bool { tables.contains { $0.options.mode == .latest } }
    }

    /// A transaction whose answers were not received yet.
    struct Sent {
        let id: StreamID
        let batches: [Batch]
        /// What is covered with it.
        let taken: Coverage
        let finalized: UInt64
        /// How many answers come.
        let answers: Int
    }

    let options: RedisSinkOptions
    nonisolated let worker = WorkerThread(name: "redis-sink")
    var connection: RedisConnection?
    var streams: [StreamID: Stream] = [:]
    var encoder = RedisRowEncoder()
    /// Over the connection, and gone with it.
    var sent: Sent?
    /// Of the server that is connected.
    var limits = RedisLimits.usual
    /// Parts that are longer the server has shown not to take.
    var learned = Int.max
    /// Bytes of the longest part that was sent and not answered.
    var longest = 0
    /// By the system's randomness: no two processes may have the same.
    let word = String(UInt128.random(in: 0 ... .max), radix: 36)

    nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }

    init(_ options: RedisSinkOptions) { self.options = options }

    // MARK: - Streams

    func open(_ id: StreamID, tables: [Schema]) throws {
        var own: [RedisSinkTable] = []
        for table in tables { own.append(try RedisSinkTable(table, options, chainID: id.chainID)) }
        let targets = own.filter { $0.options.mode == .latest || $0.options.mode == .stream }.map(\.target)
        guard Set(targets).count == targets.count else {
            throw SluiceError(.redisSinkKey, .config, "two tables of \(id) have the same key", mend: "put {table} into their keys")
        }
        streams[id] = Stream(tables: own, durable: Coverage(), taken: Coverage(), finalized: streams[id]?.finalized ?? 0)
        do { try claim(id, how: "take") } catch {
            streams[id] = nil
            throw error
        }
    }

    func coverage(of id: StreamID) throws -> [Segment] {
        if let stream = streams[id], !stream.lost { try settle(id) }
        // Whoever asks instead of going on reads again.
        if streams[id]?.isRefusing == true { lose(id) }
        guard let stream = streams[id] else { throw id.isNotOpen }
        if stream.lost { try claim(id, how: "keep") }
        return streams[id]?.taken.segments ?? []
    }

    func write(_ batch: Batch, of id: StreamID) throws -> Position? {
        var stream = try ready(id)
        try batch.requireFit(id, stream.tables.lazy.map(\.schema))
        try stream.taken.append(batch.span, stream: id)
        stream.held.append(batch)
        stream.rows += batch.rowCount
        stream.bytes += batch.byteCount
        streams[id] = stream
        if stream.rows >= options.commitRows || stream.bytes >= options.commitBytes { try commitHeld(id) }
        return report(id)
    }

    func flush(_ id: StreamID) throws -> Position? {
        if try !ready(id).held.isEmpty { try commitHeld(id) }
        try settle(id)
        return report(id)
    }

    private func commitHeld(_ id: StreamID) throws {
        do { try commit(id) } catch let refusal as TooLong { throw refuse(refusal, of: id) }
    }

    func finalized(_ number: UInt64, of id: StreamID) {
        guard let stream = streams[id] else { return }
        streams[id]?.finalized = max(stream.finalized, number)
    }

    func rollback(_ id: StreamID, to position: Position) throws {
        _ = try ready(id)
        try settle(id)
        var stream = try ready(id)
        let before = stream
        guard let removed = stream.taken.rollback(to: position) else { return }
        guard !stream.keepsValues || position.number >= stream.floor else {
            throw SluiceError(
                .redisUndo, .pause,
                "values that blocks up to \(stream.floor) displaced are kept no more at \(shown), so block \(position.number) cannot be gone back to",
                mend: "empty the database, or set another prefix, to fill it again")
        }
        let kept = stream.held.indices.filter { !removed.contains(stream.held[$0].span.first) }
        stream.held = kept.map { place in
            let batch = stream.held[place]
            return removed.contains(batch.span.last.number) ? batch.through(block: position.number) : batch
        }
        streams[id] = stream
        do { try commit(id, undoing: removed, to: position) } catch let refusal as TooLong {
            streams[id] = before
            throw refuse(refusal, of: id, places: kept)
        }
        try settle(id)
        // The caller knows this position: it named it.
        streams[id]?.news = nil
    }

    func close() {
        streams = [:]
        disconnect()
    }

    // MARK: - The server

    /// Becomes the process that writes a stream, and reads what is there of it.
    /// - Parameter how: `take`: from whoever it is; `keep`: only when it is this one, or the server has forgotten.
    func claim(_ id: StreamID, how: String) throws {
        // What is on its way would be answered first.
        if let sent { do { try settle(sent.id) } catch { if sent.id != id { streams[sent.id]?.failure = error } } }
        guard var stream = streams[id] else { throw id.isNotOpen }
        let (base, lines) = (base(id), stream.tables.map(\.line).joined(separator: "\n"))
        let targets = stream.tables.filter { $0.options.mode == .latest || $0.options.mode == .stream }.map(\.target)
        var arguments = [base, bytes(options.prefix + "sluice:owners"), bytes(word), bytes(how), bytes("\(id)"), bytes(lines)]
        arguments += targets
        let reply = try guarded { try connected().run(.script(RedisSinkScripts.open, arguments)) }
        if case .error(let text) = reply { throw RedisFault.error(text, server: shown) }
        guard case .array(let parts) = reply else { throw foreign(id) }
        let words = parts.map { part in if case .bytes(let bytes) = part { String(decoding: bytes, as: UTF8.self) } else { "" } }
        switch words.first {
        case "fenced": throw fenced(id)
        case "owner":
            throw SluiceError(
                .redisSinkOwner, .pause, "\(words[1]) at \(shown) is written by \(words[2]); \(id) cannot share it",
                mend: "give \(id.pipeline) another prefix, or another key")
        case "tables":
            let (old, new) = (Set(words[1].split(separator: "\n")), Set(lines.split(separator: "\n")))
            let different = old.symmetricDifference(new).min().map { $0.prefix { $0 != " " } } ?? ""
            throw SluiceError(
                .redisSinkOwner, .pause,
                "\(id.pipeline) asks for table \(different) otherwise than \(shown) holds its blocks, or does not ask for it any more",
                mend: "set it as it was, or give the pipeline another prefix to fill that")
        case "ok":
            guard let found = Self.coverage(words[1]), let floor = UInt64(words[2]) else { throw foreign(id) }
            (stream.durable, stream.taken, stream.floor, stream.lost, stream.news) = (found, found, floor, false, nil)
            (stream.failure, stream.isRefusing) = (nil, false)
            stream.drop()
            streams[id] = stream
        default: throw foreign(id)
        }
    }

    // MARK: - Pieces

    /// A connection that failed is of no use any more.
    func guarded<R>(_ body: () throws -> R) throws -> R {
        do { return try body() } catch {
            disconnect()
            throw error
        }
    }

    /// Gives the connection up, and with it what was sent and not answered.
    func disconnect() {
        connection = nil
        if let sent { lose(sent.id) }
    }

    /// What was taken of a stream and not stored is forgotten.
    func lose(_ id: StreamID) {
        if sent?.id == id { sent = nil }
        streams[id]?.drop()
        streams[id]?.lost = true
    }

    func connected() throws -> RedisConnection {
        if let connection { return connection }
        var server = try RedisOptions(url: options.url.reveal())
        (server.connectTimeout, server.replyTimeout) = (options.connectTimeout, options.replyTimeout)
        let made = try RedisConnection(server)
        // Something short first: who is not let in is told so only then.
        if case .error(let text) = try made.run(RedisCommand("PING")) { throw RedisFault.error(text, server: shown) }
        try learnLimits(made)
        connection = made
        return made
    }

    func put(_ name: String, _ value: String, _ base: [UInt8], _ commands: inout RedisCommands) {
        commands.begin(3)
        commands.add("SET")
        commands.add(base + bytes(name))
        commands.add(value)
    }

    /// What the keys of a stream begin with.
    func base(_ id: StreamID) -> [UInt8] {
        bytes(options.prefix + "sluice:") + RedisKey.encoded(id.pipeline) + bytes(":\(id.chainID):")
    }

    /// The server as it may be shown.
    var shown: String { (try? RedisOptions(url: options.url.reveal()).shown) ?? "redis" }

    static func text(_ coverage: Coverage) -> String {
        coverage.segments.map { "\($0.first) \($0.last)" }.joined(separator: "\n")
    }

    /// Reads what `text` wrote.
    private static func coverage(_ text: String) -> Coverage? {
        var segments: [Segment] = []
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: " ")
            guard parts.count == 3, let first = UInt64(parts[0]), let last = UInt64(parts[1]), let hash = Hash32(hex: String(parts[2])),
                first <= last, segments.last.map({ $0.last.number < first }) ?? true
            else { return nil }
            segments.append(Segment(first: first, last: Position(number: last, hash: hash)))
        }
        return Coverage(segments)
    }

    func ready(_ id: StreamID) throws -> Stream {
        guard var stream = streams[id] else { throw id.isNotOpen }
        if let failure = stream.failure {
            streams[id]?.failure = nil
            throw failure
        }
        stream.isRefusing = false
        streams[id] = stream
        guard !stream.lost else {
            throw SluiceError(.redisUnavailable, .retry, "rows of \(id) were not stored: resume from the stored position")
        }
        return stream
    }

    func report(_ id: StreamID) -> Position? {
        defer { streams[id]?.news = nil }
        return streams[id]?.news
    }

    // MARK: - Errors

    private func foreign(_ id: StreamID) -> SluiceError { RedisFault.foreign("what it has of \(id) is not in our form", server: shown) }

    func fenced(_ id: StreamID) -> SluiceError {
        SluiceError(
            .redisFenced, .config, "another process has opened \(id) at \(shown), or changed its streams: this one may not write any more",
            mend: "stop one of the two; two pipelines of one name need prefixes of their own")
    }

    static func order(_ target: [UInt8], _ first: RedisStreamID, _ last: RedisStreamID, _ shown: String) -> SluiceError {
        SluiceError(
            .redisStreamOrder, .pause,
            "stream \(String(decoding: target, as: UTF8.self)) at \(shown) goes up to \(last.block)-\(last.place), so that block \(first.block) cannot be added: entries of a stream only ascend",
            mend: "fill lower blocks into another prefix, and take what follows them from there")
    }
}
