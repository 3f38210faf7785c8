import SluiceConfig
import SluiceCore
import SluiceFormats

/// The server and what is on its way into it, over one connection on one thread.
///
/// A transaction holds rows of one stream and the segments that they bring it to. The word under `epoch`, which the process that opened the
/// stream last has put there, is watched: what another process sends, or this one over a connection that was given up, is not done any more.
/// When anything fails, what was taken and not stored is forgotten, and the stream must ask for its position and resend from there.
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

        /// Forgets what is held.
        mutating func drop() { (held, rows, bytes) = ([], 0, 0) }
        var keepsValues: Bool { tables.contains { $0.options.mode == .latest } }
    }

    /// Bytes of commands that are gathered before they are sent.
    private static let chunk = 256 << 10

    let options: RedisSinkOptions
    private let worker = WorkerThread(name: "redis-sink")
    private var connection: RedisConnection?
    private var streams: [StreamID: Stream] = [:]
    private var encoder = RedisRowEncoder()
    /// By the system's randomness: no two processes may have the same.
    private let word = String(UInt128.random(in: 0 ... .max), radix: 36)

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
        if stream.rows >= options.commitRows || stream.bytes >= options.commitBytes { try commit(id) }
        return report(id)
    }

    func flush(_ id: StreamID) throws -> Position? {
        if try !ready(id).held.isEmpty { try commit(id) }
        return report(id)
    }

    func finalized(_ number: UInt64, of id: StreamID) {
        guard let stream = streams[id] else { return }
        streams[id]?.finalized = max(stream.finalized, number)
    }

    func rollback(_ id: StreamID, to position: Position) throws {
        var stream = try ready(id)
        guard let removed = stream.taken.rollback(to: position) else { return }
        guard !stream.keepsValues || position.number >= stream.floor else {
            throw SluiceError(
                .redisUndo, .pause,
                "values that blocks up to \(stream.floor) displaced are kept no more at \(shown), so block \(position.number) cannot be gone back to",
                mend: "empty the database, or set another prefix, to fill it again")
        }
        stream.held = stream.held.compactMap { batch in
            if removed.contains(batch.span.first) { return nil }
            return removed.contains(batch.span.last.number) ? batch.through(block: position.number) : batch
        }
        streams[id] = stream
        try commit(id, undoing: removed, to: position)
        // The caller knows this position: it named it.
        streams[id]?.news = nil
    }

    func close() {
        streams = [:]
        connection = nil
    }

    // MARK: - Transactions

    private func commit(_ id: StreamID, undoing removed: ClosedRange<UInt64>? = nil, to position: Position? = nil) throws {
        guard let stream = streams[id] else { throw id.isNotOpen }
        do {
            do {
                try send(id, stream, undoing: removed, to: position)
            } catch let error as SluiceError where error.class == .retry && connection == nil {
                // It may have happened all the same: what the server says now is the truth.
                try claim(id, how: "keep")
                guard streams[id]?.durable == stream.taken else { throw error }
            }
        } catch {
            // A transaction that was begun goes with its connection.
            connection = nil
            streams[id]?.drop()
            streams[id]?.lost = true
            throw error
        }
        if let last = stream.held.last { streams[id]?.news = last.span.last }
        streams[id]?.durable = stream.taken
        streams[id]?.taken = stream.taken
        streams[id]?.floor = max(stream.floor, stream.finalized)
        streams[id]?.drop()
    }

    private func send(_ id: StreamID, _ stream: Stream, undoing removed: ClosedRange<UInt64>?, to position: Position?) throws {
        let base = base(id)
        let connection = try guarded { try connected() }
        try guarded { try watch(id, base, RedisRowEncoder.firstIDs(stream.held, stream.tables), connection) }
        var (top, sent) = (stream.durable.segments.last?.last.number, 0)
        encoder.begin()
        for batch in stream.held {
            let isOnTop = top.map { batch.span.first > $0 } ?? true
            top = max(top ?? 0, batch.span.last.number)
            try encoder.append(batch, stream.tables, base: base, finalized: isOnTop ? stream.finalized : nil, keepsAbove: stream.finalized)
            guard encoder.byteCount >= Self.chunk else { continue }
            // The server reads while what follows is made. Without the end nothing of it is done.
            let some = encoder.take()
            sent += some.count
            try guarded { try connection.send(some) }
        }
        var commands = encoder.take()
        if let removed, let position {
            let streams = stream.tables.filter { $0.options.mode == .stream }.map(\.target)
            commands.script(RedisSinkScripts.rollback, [base, bytes("\(removed.lowerBound)"), bytes("\(removed.upperBound)")] + streams)
            for table in stream.tables where table.options.mode == .publish {
                commands.begin(3)
                commands.add("PUBLISH")
                commands.add(table.target)
                commands.add("{\"rollback_to\":\(position.number),\"hash\":\"\(position.hash)\"}")
            }
        }
        if stream.keepsValues, stream.finalized > stream.floor {
            commands.script(RedisSinkScripts.forget, [base, bytes("\(stream.finalized)")])
            put("floor", "\(stream.finalized)", base, &commands)
        }
        put("segments", Self.text(stream.taken), base, &commands)
        commands.command("EXEC")
        try guarded { try finish(commands, behind: sent, id, stream, base, connection) }
    }

    /// Makes sure that this process is the one that writes, and that streams take what comes: what fails inside of a transaction undoes nothing.
    private func watch(_ id: StreamID, _ base: [UInt8], _ firstIDs: [[UInt8]: RedisStreamID], _ connection: RedisConnection) throws {
        let targets = firstIDs.keys.sorted { $0.lexicographicallyPrecedes($1) }
        var commands = RedisCommands()
        commands.begin(2 + targets.count)
        commands.add("WATCH")
        commands.add(base + bytes("epoch"))
        for target in targets { commands.add(target) }
        commands.begin(2)
        commands.add("GET")
        commands.add(base + bytes("epoch"))
        for target in targets {
            commands.begin(3)
            commands.add("XINFO")
            commands.add("STREAM")
            commands.add(target)
        }
        let answers = try connection.answers(to: commands)
        for case .error(let text) in answers where !text.hasPrefix("ERR no such key") { throw RedisFault.error(text, server: shown) }
        switch answers[1] {
        case .bytes(bytes(word)): break
        // The server has forgotten everything.
        case .null: throw SluiceError(.redisUnavailable, .retry, "redis at \(shown) has lost what it had of \(id): it is filled again")
        default: throw fenced(id)
        }
        for (target, answer) in zip(targets, answers[2...]) {
            guard case .array(let pairs) = answer, let at = pairs.firstIndex(of: .bytes(bytes("last-generated-id"))), at + 1 < pairs.count,
                case .bytes(let text) = pairs[at + 1], let last = RedisStreamID(text), let first = firstIDs[target], first <= last
            else { continue }
            throw Self.order(target, first, last, shown)
        }
    }

    /// Sends the end of the transaction and looks at how it ended.
    /// - Parameter sent: how many commands of it were sent before.
    private func finish(
        _ commands: RedisCommands, behind sent: Int, _ id: StreamID, _ stream: Stream, _ base: [UInt8], _ connection: RedisConnection
    ) throws {
        var (refusal, ending, seen) = (String?.none, RedisEnding.none, 0)
        try connection.send(commands)
        try connection.receive(sent + commands.count) { reply in
            seen += 1
            if seen == sent + commands.count { ending = RedisEnding(reply) } else if refusal == nil { refusal = RedisEnding(reply).error }
        }
        switch ending {
        case .done: return
        case .error(let text): throw RedisFault.error(refusal ?? text, server: shown)
        case .none: throw fenced(id)
        case .broken(let text):
            // Part of it is there, with the position: all of it is taken off again.
            var commands = RedisCommands()
            commands.command("MULTI")
            for batch in stream.held {
                let streams = stream.tables.filter { $0.options.mode == .stream }.map(\.target)
                let blocks = [bytes("\(batch.span.first)"), bytes("\(batch.span.last.number)")]
                commands.script(RedisSinkScripts.rollback, [base] + blocks + streams)
            }
            put("segments", Self.text(stream.durable), base, &commands)
            commands.command("EXEC")
            _ = try connection.answers(to: commands)
            throw RedisFault.error(text, server: shown)
        }
    }

    /// Becomes the process that writes a stream, and reads what is there of it.
    /// - Parameter how: `take`: from whoever it is; `keep`: only when it is this one, or the server has forgotten.
    private func claim(_ id: StreamID, how: String) throws {
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
            stream.drop()
            streams[id] = stream
        default: throw foreign(id)
        }
    }

    // MARK: - Pieces

    /// A connection that failed is of no use any more.
    private func guarded<R>(_ body: () throws -> R) throws -> R {
        do { return try body() } catch {
            connection = nil
            throw error
        }
    }

    private func connected() throws -> RedisConnection {
        if let connection { return connection }
        var server = try RedisOptions(url: options.url.reveal())
        (server.connectTimeout, server.replyTimeout) = (options.connectTimeout, options.replyTimeout)
        let made = try RedisConnection(server)
        // Something short first: who is not let in is told so only then.
        if case .error(let text) = try made.run(RedisCommand("PING")) { throw RedisFault.error(text, server: shown) }
        connection = made
        return made
    }

    private func put(_ name: String, _ value: String, _ base: [UInt8], _ commands: inout RedisCommands) {
        commands.begin(3)
        commands.add("SET")
        commands.add(base + bytes(name))
        commands.add(value)
    }

    /// What the keys of a stream begin with.
    private func base(_ id: StreamID) -> [UInt8] {
        bytes(options.prefix + "sluice:") + RedisKey.encoded(id.pipeline) + bytes(":\(id.chainID):")
    }

    /// The server as it may be shown.
    private var shown: String { (try? RedisOptions(url: options.url.reveal()).shown) ?? "redis" }

    private static func text(_ coverage: Coverage) -> String {
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

    private func ready(_ id: StreamID) throws -> Stream {
        guard let stream = streams[id] else { throw id.isNotOpen }
        guard !stream.lost else {
            throw SluiceError(.redisUnavailable, .retry, "rows of \(id) were not stored: resume from the stored position")
        }
        return stream
    }

    private func report(_ id: StreamID) -> Position? {
        defer { streams[id]?.news = nil }
        return streams[id]?.news
    }

    // MARK: - Errors

    private func foreign(_ id: StreamID) -> SluiceError { RedisFault.foreign("what it has of \(id) is not in our form", server: shown) }

    private func fenced(_ id: StreamID) -> SluiceError {
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

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
