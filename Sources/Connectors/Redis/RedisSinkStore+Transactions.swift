import SluiceCore
import SluiceFormats

// Transactions: made and sent in `commit`, answered in `settle`.
extension RedisSinkStore {
    /// Thrown before anything was done: rows that the server does not take, by the places of their batches among those held.
    struct TooLong: Error {
        let rows: [RedisRowEncoder.TooLong]
    }

    /// Sends what is held. How it ended `settle` tells.
    /// - Throws: `TooLong`, and then all is held as it was. After other errors it is lost.
    func commit(_ id: StreamID, undoing removed: ClosedRange<UInt64>? = nil, to position: Position? = nil) throws {
        if let sent, sent.id != id {
            // What happens to another stream is told when that is used next.
            do { try settle(sent.id) } catch { streams[sent.id]?.failure = error }
        }
        guard let stream = streams[id] else { throw id.isNotOpen }
        do { try send(id, stream, undoing: removed, to: position) } catch let refusal as TooLong {
            // The transaction that was begun goes with its connection.
            connection = nil
            longest = 0
            throw refusal
        } catch {
            // A transaction that was begun goes with its connection.
            learn(from: error)
            disconnect()
            lose(id)
            throw error
        }
        streams[id]?.drop()
    }

    private func send(_ id: StreamID, _ stream: Stream, undoing removed: ClosedRange<UInt64>?, to position: Position?) throws {
        let base = base(id)
        let connection = try connected()
        let targets = try watch(base, RedisRowEncoder.firstIDs(stream.held, stream.tables), connection)
        var top = (sent?.taken ?? stream.durable).segments.last?.last.number
        encoder.begin(limits)
        for batch in stream.held {
            let isOnTop = top.map { batch.span.first > $0 } ?? true
            top = max(top ?? 0, batch.span.last.number)
            // The server reads while what follows is made. Without the end nothing of it is done.
            try encoder.append(
                batch, stream.tables, base: base, finalized: isOnTop ? stream.finalized : nil, keepsAbove: stream.finalized
            ) { try connection.send($0) }
            longest = max(longest, encoder.longestPart)
        }
        try encoder.end { try connection.send($0) }
        longest = max(longest, encoder.longestPart)
        var commands = RedisCommands()
        if let removed, let position { undo(removed, to: position, stream, base, &commands) }
        if stream.keepsValues, stream.finalized > stream.floor {
            commands.script(RedisSinkScripts.forget, [base, bytes("\(stream.finalized)")])
            put("floor", "\(stream.finalized)", base, &commands)
        }
        put("segments", Self.text(stream.taken), base, &commands)
        commands.command("EXEC")
        if sent != nil { try settle(id) }
        if !encoder.tooLong.isEmpty { throw TooLong(rows: encoder.tooLong) }
        try check(id, targets, try connection.receive(2 + targets.count))
        try connection.send(commands)
        sent = Sent(
            id: id, batches: stream.held, taken: stream.taken, finalized: stream.finalized, answers: encoder.commandCount + commands.count)
    }

    private func undo(
        _ removed: ClosedRange<UInt64>, to position: Position, _ stream: Stream, _ base: [UInt8], _ commands: inout RedisCommands
    ) {
        let streams = stream.tables.filter { $0.options.mode == .stream }.map(\.target)
        commands.script(RedisSinkScripts.rollback, [base, bytes("\(removed.lowerBound)"), bytes("\(removed.upperBound)")] + streams)
        for table in stream.tables where table.options.mode == .publish {
            commands.begin(3)
            commands.add("PUBLISH")
            commands.add(table.target)
            commands.add("{\"rollback_to\":\(position.number),\"hash\":\"\(position.hash)\"}")
        }
    }

    /// Begins to watch that this process is the one that writes, and that streams take what comes: what fails inside of a transaction undoes
    /// nothing. Returns what was asked for besides the word of the process; the answers come behind those to what was sent before.
    func watch(
        _ base: [UInt8], _ firstIDs: [[UInt8]: RedisStreamID], _ connection: RedisConnection
    ) throws -> [(target: [UInt8], first: RedisStreamID)] {
        let targets = firstIDs.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { (target: $0.key, first: $0.value) }
        var commands = RedisCommands()
        commands.begin(2 + targets.count)
        commands.add("WATCH")
        commands.add(base + bytes("epoch"))
        for (target, _) in targets { commands.add(target) }
        commands.begin(2)
        commands.add("GET")
        commands.add(base + bytes("epoch"))
        for (target, _) in targets {
            commands.begin(3)
            commands.add("XINFO")
            commands.add("STREAM")
            commands.add(target)
        }
        try connection.send(commands)
        return targets
    }

    func check(_ id: StreamID, _ targets: [(target: [UInt8], first: RedisStreamID)], _ answers: [RedisReply]) throws {
        for case .error(let text) in answers where !text.hasPrefix("ERR no such key") { throw RedisFault.error(text, server: shown) }
        switch answers[1] {
        case .bytes(bytes(word)): break
        // The server has forgotten everything.
        case .null: throw SluiceError(.redisUnavailable, .retry, "redis at \(shown) has lost what it had of \(id): it is filled again")
        default: throw fenced(id)
        }
        for ((target, first), answer) in zip(targets, answers[2...]) {
            guard case .array(let pairs) = answer, let at = pairs.firstIndex(of: .bytes(bytes("last-generated-id"))), at + 1 < pairs.count,
                case .bytes(let text) = pairs[at + 1], let last = RedisStreamID(text), first <= last
            else { continue }
            throw Self.order(target, first, last, shown)
        }
    }

    // MARK: - Limits

    /// What the server takes, as far as it tells.
    func learnLimits(_ connection: RedisConnection) throws {
        func value(_ name: String) throws -> Int? {
            guard case .array(let pair) = try connection.run(RedisCommand("CONFIG", "GET", name)), pair.count == 2,
                case .bytes(let text) = pair[1]
            else { return nil }
            return Int(String(decoding: text, as: UTF8.self))
        }
        limits = RedisLimits(
            part: min(try value("proto-max-bulk-len") ?? RedisLimits.usual.part, learned),
            buffer: try value("client-query-buffer-limit") ?? RedisLimits.usual.buffer)
    }

    /// A server that does not tell its limits shows them: of what was sent the longest part at least was too long.
    func learn(from error: any Error) {
        if (error as? SluiceError)?.code == .redisTooLong {
            learned = min(learned, max(longest, encoder.longestPart) - 1)
        }
        longest = 0
    }

    /// The same call without rows that the server does not take, when it is made again.
    func refuse(_ refusal: TooLong, of id: StreamID, places: [Int]? = nil) -> any Error {
        guard var stream = streams[id] else { return id.isNotOpen }
        var rows: [RefusedRow] = []
        for (batch, own) in Dictionary(grouping: refusal.rows, by: { places?[$0.batch] ?? $0.batch }).sorted(by: { $0.key < $1.key }) {
            let held = stream.held[batch]
            for one in own {
                guard let table = held.table(one.table) else { continue }
                rows.append(
                    RefusedRow(
                        table, one.row, of: held.span, reason: .redisTooLong, message: RedisLimits.message(one.bytes, limits.part, shown)))
            }
            stream.held[batch] = held.without(Dictionary(grouping: own, by: \.table).mapValues { Set($0.map(\.row)) })
        }
        stream.isRefusing = true
        streams[id] = stream
        return RowsRefused(rows)
    }

    /// Makes sure that the server takes all rows of some amendments.
    func refuseTooLong(_ amendments: [Amendment], _ stream: Stream) throws {
        var refused: [RefusedRow] = []
        for amendment in amendments {
            guard let table = stream.tables.first(where: { $0.schema.isNamed(as: amendment.rows.schema) }), table.options.mode == .latest
            else { continue }
            for (row, bytes) in table.longestParts(amendment.rows).enumerated() where bytes > limits.part {
                let message = RedisLimits.message(bytes, limits.part, shown)
                refused.append(RefusedRow(amendment.rows, row, block: amendment.block, reason: .redisTooLong, message: message))
            }
        }
        if !refused.isEmpty { throw RowsRefused(refused) }
    }

    // MARK: - Answers

    /// Waits for how the transaction ended that was sent last, when it is the stream's.
    func settle(_ id: StreamID) throws {
        guard let sent, sent.id == id, let connection else { return }
        do {
            let ending = try connection.receiveEnding(sent.answers)
            self.sent = nil
            longest = 0
            try finish(ending, sent, connection)
        } catch {
            let isUnknown = self.sent != nil && (error as? SluiceError)?.class == .retry
            let isAlone = streams[id]?.held.isEmpty ?? false
            self.sent = nil
            learn(from: error)
            disconnect()
            lose(id)
            // It may have happened all the same: what the server says now is the truth.
            guard isUnknown, isAlone else { throw error }
            try claim(id, how: "keep")
            guard streams[id]?.durable == sent.taken else {
                streams[id]?.lost = true
                throw error
            }
            note(sent)
        }
    }

    private func note(_ sent: Sent) {
        guard var stream = streams[sent.id] else { return }
        if let last = sent.batches.last { stream.news = last.span.last }
        stream.durable = sent.taken
        stream.floor = max(stream.floor, sent.finalized)
        streams[sent.id] = stream
    }

    private func finish(_ ending: RedisEnding, _ sent: Sent, _ connection: RedisConnection) throws {
        switch ending {
        case .done: note(sent)
        case .error(let text): throw RedisFault.error(text, server: shown)
        case .none: throw fenced(sent.id)
        case .broken(let text):
            // Part of it is there, with the position: all of it is taken off again. Over a new connection: on this one the next may have begun.
            disconnect()
            try takeOff(sent)
            throw RedisFault.error(text, server: shown)
        }
    }

    private func takeOff(_ sent: Sent) throws {
        guard let stream = streams[sent.id] else { return }
        let base = base(sent.id)
        let connection = try connected()
        _ = try watch(base, [:], connection)
        try check(sent.id, [], try connection.receive(2))
        var commands = RedisCommands()
        commands.command("MULTI")
        for batch in sent.batches {
            let streams = stream.tables.filter { $0.options.mode == .stream }.map(\.target)
            let blocks = [bytes("\(batch.span.first)"), bytes("\(batch.span.last.number)")]
            commands.script(RedisSinkScripts.rollback, [base] + blocks + streams)
        }
        put("segments", Self.text(stream.durable), base, &commands)
        commands.command("EXEC")
        _ = try connection.answers(to: commands)
    }
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
