import SluiceCore
import SluiceFormats

// Rows for blocks that are there already.
//
// Values (`latest`) can be changed, as if the block had had these rows when it was read: a newer block's value stays, and what a value took the
// place of comes back when it goes. Entries of streams can be taken away, but none can be added to a block below the end: ids only ascend. What
// was published was heard.
extension RedisSinkStore {
    /// All in one transaction.
    func amend(_ amendments: [Amendment], of id: StreamID) throws {
        _ = try ready(id)
        try settle(id)
        var stream = try ready(id)
        for amendment in amendments { try require(amendment, of: id, stream) }
        var stored: [Amendment] = []
        for amendment in amendments {
            let number = amendment.block.number
            guard let held = stream.held.firstIndex(where: { $0.span.first <= number && number <= $0.span.last.number }) else {
                stored.append(amendment)
                continue
            }
            guard let batch = stream.held[held].amended(by: amendment) else { throw Coverage.differs(amendment.block, in: shown) }
            stream.held[held] = batch
        }
        for amendment in stored { try requireAmendable(amendment, stream) }
        if !stored.isEmpty { try exchange(stored, id, stream) }
        streams[id]?.held = stream.held
    }

    private func require(_ amendment: Amendment, of id: StreamID, _ stream: Stream) throws {
        guard amendment.chainID == id.chainID else {
            throw SluiceError(.sinkOrder, .fatal, "rows of chain \(amendment.chainID) for stream \(id)")
        }
        try amendment.rows.requireFit(id, stream.tables.lazy.map(\.schema))
        try stream.taken.require(amendment.block, in: shown)
    }

    private func table(_ amendment: Amendment, _ stream: Stream) -> RedisSinkTable? {
        stream.tables.first { $0.schema.isNamed(as: amendment.rows.schema) }
    }

    private func requireAmendable(_ amendment: Amendment, _ stream: Stream) throws {
        guard let table = table(amendment, stream), amendment.rows.rowCount > 0 else { return }
        let why: String
        switch table.options.mode {
        case .latest, .skip: return
        case .stream: why = "ids of a stream's entries only ascend"
        case .publish: why = "its messages are sent"
        }
        throw SluiceError(
            .amendUnsupported, .config,
            "no rows can be added to block \(amendment.block.number) of table \(table.schema.name) at \(shown), which is there already: \(why)",
            mend: "fill another prefix by a backfill, or drop the letter")
    }

    private func exchange(_ amendments: [Amendment], _ id: StreamID, _ stream: Stream) throws {
        let connection = try connected()
        let base = base(id)
        try refuseTooLong(amendments, stream)
        try guarded {
            _ = try watch(base, [:], connection)
            try check(id, [], try connection.receive(2))
            for block in Set(amendments.map(\.block)) {
                if try isOther(block, amendments, stream, connection) { throw Coverage.differs(block, in: shown) }
            }
            var commands = RedisCommands()
            commands.command("MULTI")
            for amendment in amendments {
                guard let table = table(amendment, stream) else { continue }
                switch table.options.mode {
                case .skip, .publish: break
                case .stream:
                    let places = amendment.places.sorted().map { bytes("\($0)") }
                    commands.script(
                        RedisAmendScript.thin, [table.target, bytes("\(amendment.block.number)"), bytes(amendment.column)] + places)
                case .latest:
                    commands.script(
                        RedisAmendScript.amend, table.arguments(amendment, base, keeps: amendment.block.number > stream.floor))
                }
            }
            commands.command("EXEC")
            try connection.send(commands)
            switch try connection.receiveEnding(commands.count) {
            case .done: return
            case .none: throw fenced(id)
            // Of what fails inside the others are done: it is whole when it is done again.
            case .error(let text), .broken(let text): throw RedisFault.error(text, server: shown)
            }
        }
    }

    // MARK: - Which block it is

    /// Whether a row that is there of a block is of another one of that number. One that has left no row that could be found cannot be told.
    private func isOther(
        _ block: BlockRef, _ amendments: [Amendment], _ stream: Stream, _ connection: RedisConnection
    ) throws -> Bool {
        for table in stream.tables {
            guard let hash = table.schema.blockHashField else { continue }
            var commands = RedisCommands()
            switch table.options.mode {
            case .skip, .publish: continue
            case .stream:
                commands.command(
                    "XRANGE", String(decoding: table.target, as: UTF8.self), "\(block.number)-0", "\(block.number)-\(UInt64.max)", "COUNT",
                    "1")
            case .latest:
                let places = amendments.filter { $0.block == block && table.schema.index(of: $0.column) != nil }
                for amendment in places {
                    for key in table.keys(at: amendment) {
                        commands.begin(table.isJSON ? 2 : 4)
                        commands.add(table.isJSON ? "GET" : "HMGET")
                        commands.add(key)
                        if !table.isJSON {
                            commands.add(table.names[table.number])
                            commands.add(hash)
                        }
                    }
                }
                if places.isEmpty, let key = table.key(of: block) { commands.command(table.isJSON ? "GET" : "HGETALL", key) }
            }
            if commands.count == 0 { continue }
            let words = (number: "\(block.number)", hash: block.hash.description)
            for answer in try connection.answers(to: commands) {
                let row = RedisRowText(answer, named: [table.schema.fields[table.number].name, hash])
                if row.values[0] == words.number, let found = row.values[1], found != words.hash { return true }
            }
        }
        return false
    }
}

/// Plain values of a row that a server answered with, however it is kept: as JSON, as a hash, its values alone, or an entry of a stream.
struct RedisRowText {
    /// In the order of the names.
    let values: [String?]

    init(_ answer: RedisReply, named names: [String]) {
        // An entry: its id, and names and values by turns.
        if case .array(let entries) = answer, entries.count == 1, case .array(let entry) = entries[0], entry.count == 2,
            case .array(let parts) = entry[1]
        {
            let isJSON = parts.count == 2 && parts[0] == .bytes(bytes("row"))
            values = Self.values(of: isJSON ? parts[1] : entry[1], names)
        } else {
            values = Self.values(of: answer, names)
        }
    }

    private static func values(of answer: RedisReply, _ names: [String]) -> [String?] {
        switch answer {
        case .bytes(let json): names.map { member($0, in: json) }
        case .array(let parts) where parts.count == names.count: parts.map(text)
        case .array(let parts): names.map { field($0, in: parts) }
        default: names.map { _ in nil }
        }
    }

    private static func text(_ reply: RedisReply) -> String? {
        if case .bytes(let text) = reply { String(decoding: text, as: UTF8.self) } else { nil }
    }

    private static func field(_ name: String, in parts: [RedisReply]) -> String? {
        for at in stride(from: 0, to: parts.count - 1, by: 2) where text(parts[at]) == name { return text(parts[at + 1]) }
        return nil
    }

    /// Of JSON that we wrote: in the text of a value the name's quotes would have a backslash before them.
    private static func member(_ name: String, in json: [UInt8]) -> String? {
        guard let at = json.firstRange(of: Array((name.jsonQuoted + ":").utf8))?.upperBound else { return nil }
        let value = json[at...].drop { $0 == UInt8(ascii: "\"") }.prefix { (48...57).contains($0) || (97...122).contains($0) }
        return String(decoding: value, as: UTF8.self)
    }
}
