import SluiceCore
import SluiceFormats

/// Makes commands of rows. They begin a transaction, whose end is up to the caller.
struct RedisRowEncoder: ~Copyable {
    /// A row with a part that is longer than the server takes.
    struct TooLong: Hashable {
        /// The place of the batch, the table, and the row in it.
        let batch: Int
        let table: String
        let row: Int
        /// Of the part.
        let bytes: Int
    }

    /// Bytes of commands that are gathered before they are sent.
    private static let chunk = 128 << 10
    /// Values that are put down by one command ...
    private static let rowsPerCommand = 128
    /// ... and about their bytes: a server limits those of a command.
    private static let bytesPerCommand = 32 << 10

    private var commands = RedisCommands(capacity: chunk + chunk / 2)
    /// Parts of a command that is to come.
    private var parts = RedisCommands(capacity: bytesPerCommand * 2)
    private var json = TextRows(.jsonl)
    private var plain = TextRows(.csv)
    private var lastIDs: [[UInt8]: RedisStreamID] = [:]
    private var batch = 0
    /// What the server takes.
    private var limits = RedisLimits.usual
    /// Once there is one, no more is handed over.
    private(set) var tooLong: [TooLong] = []
    /// Commands and bytes since the beginning, and the longest part among them.
    private(set) var commandCount = 0
    private(set) var byteCount = 0
    private(set) var longestPart = 0

    /// Of each stream the id of the first entry that comes.
    static func firstIDs(_ batches: [Batch], _ tables: [RedisSinkTable]) -> [[UInt8]: RedisStreamID] {
        var first: [[UInt8]: RedisStreamID] = [:]
        for table in tables where table.options.mode == .stream {
            guard let rows = batches.lazy.compactMap({ $0.table(table.schema.name) }).first(where: { $0.rowCount > 0 }) else { continue }
            first[table.target] = RedisStreamID(rows.columns[table.number].load(0, as: UInt64.self), 1)
        }
        return first
    }

    mutating func begin(_ limits: RedisLimits) {
        commands.clear()
        commands.command("MULTI")
        (lastIDs, batch, tooLong, self.limits) = ([:], 0, [], limits)
        (commandCount, byteCount, longestPart) = (0, 0, 0)
    }

    /// Hands over what is left.
    mutating func end(_ send: (borrowing RedisCommands) throws -> Void) throws {
        json.release()
        plain.release()
        try pass(send)
    }

    /// - Parameters:
    ///   - finalized: up to there values may be put down without a look at what is there; nil: nowhere.
    ///   - keepsAbove: above it displaced values are kept.
    ///   - send: is handed commands while more are made.
    mutating func append(
        _ batch: Batch, _ tables: [RedisSinkTable], base: [UInt8], finalized: UInt64?, keepsAbove: UInt64,
        _ send: (borrowing RedisCommands) throws -> Void
    ) throws {
        defer { self.batch += 1 }
        for table in tables where table.options.mode != .skip {
            guard let rows = batch.table(table.schema.name), rows.rowCount > 0 else { continue }
            json.begin(rows)
            plain.begin(rows)
            let numbers = rows.columns[table.number]
            var row = 0
            while row < rows.rowCount {
                let block = numbers.load(row, as: UInt64.self)
                var end = row + 1
                while end < rows.rowCount, numbers.load(end, as: UInt64.self) == block { end += 1 }
                switch table.options.mode {
                case .skip: break
                case .publish: publish(row..<end, table)
                case .stream: try add(row..<end, table, block)
                case .latest:
                    if let finalized, block <= finalized {
                        table.sets ? setTogether(row..<end, table) : set(row..<end, table)
                    } else {
                        // Some at a time: the parts of one command are limited.
                        for some in stride(from: row, to: end, by: 256) {
                            put(some..<min(some + 256, end), table, block, base: base, keeps: block > keepsAbove)
                        }
                    }
                }
                row = end
                if commands.byteCount >= Self.chunk { try pass(send) }
            }
        }
    }

    private mutating func pass(_ send: (borrowing RedisCommands) throws -> Void) throws {
        commandCount += commands.count
        byteCount += commands.byteCount
        if tooLong.isEmpty {
            longestPart = max(longestPart, commands.longestPart)
            guard !limits.isExceeded(by: byteCount) else {
                throw SluiceError(
                    .redisStuck, .pause,
                    "a step of more than \(limits.buffer) bytes cannot be sent: the server's client-query-buffer-limit",
                    mend: "raise client-query-buffer-limit, or lower commit_bytes and commit_rows")
            }
            try send(commands)
        }
        commands.clear()
    }

    // MARK: - Parts

    private mutating func add(_ row: Int, _ table: RedisSinkTable, longest: Int) {
        if longest > limits.part { tooLong.append(TooLong(batch: batch, table: table.schema.name, row: row, bytes: longest)) }
    }

    /// Adds a row's key to the parts, and returns its bytes.
    private mutating func addKey(_ row: Int, _ table: RedisSinkTable) -> Int {
        plain.clear()
        table.template.key(row, table.schema, into: &plain)
        parts.add(plain.bytes)
        return plain.count
    }

    /// Adds a row's value to the parts: one text of JSON, or names and texts by turns. Returns how many parts it is, and the bytes of the longest.
    private mutating func addValue(_ row: Int, _ table: RedisSinkTable) -> (count: Int, longest: Int) {
        if table.isJSON {
            json.clear()
            json.line(row)
            // Without the end of the line.
            parts.add(UnsafeRawBufferPointer(rebasing: json.bytes.dropLast()))
            return (1, json.count - 1)
        }
        var (count, longest) = (0, 0)
        for index in table.names.indices where !plain.isNull(index, row) {
            plain.clear()
            plain.value(index, row)
            parts.add(table.names[index])
            parts.add(plain.bytes)
            (count, longest) = (count + 2, max(longest, plain.count))
        }
        return (count, longest)
    }

    // MARK: - Modes

    private mutating func publish(_ range: Range<Int>, _ table: RedisSinkTable) {
        for row in range {
            parts.clear()
            add(row, table, longest: addValue(row, table).longest)
            commands.begin(3)
            commands.add("PUBLISH")
            commands.add(table.target)
            commands.add(partsOf: parts)
        }
    }

    private mutating func add(_ range: Range<Int>, _ table: RedisSinkTable, _ block: UInt64) throws {
        for row in range {
            // From 1: there is no id 0-0.
            let id = RedisStreamID(block, UInt64(row - range.lowerBound + 1))
            if row == range.lowerBound, let last = lastIDs[table.target], last >= id {
                throw RedisSinkStore.order(table.target, id, last, "redis")
            }
            parts.clear()
            let value = addValue(row, table)
            add(row, table, longest: value.longest)
            commands.begin(table.entryParts + value.count)
            commands.add(parts: table.entryHead)
            plain.clear()
            plain.number(id.block)
            plain.text("-")
            plain.number(id.place)
            commands.add(plain.bytes)
            if table.isJSON { commands.add(parts: RedisSinkTable.rowName) }
            commands.add(partsOf: parts)
        }
        lastIDs[table.target] = RedisStreamID(block, UInt64(range.count))
    }

    /// Many by one command.
    private mutating func setTogether(_ range: Range<Int>, _ table: RedisSinkTable) {
        var row = range.lowerBound
        while row < range.upperBound {
            parts.clear()
            let first = row
            repeat {
                let key = addKey(row, table)
                add(row, table, longest: max(key, addValue(row, table).longest))
                row += 1
            } while row < range.upperBound && row - first < Self.rowsPerCommand && parts.byteCount < Self.bytesPerCommand
            commands.begin(1 + 2 * (row - first))
            commands.add("MSET")
            commands.add(partsOf: parts)
        }
    }

    private mutating func set(_ range: Range<Int>, _ table: RedisSinkTable) {
        let ttl = table.timeToLive
        for row in range {
            parts.clear()
            let key = addKey(row, table)
            // The key stands alone in the parts.
            if !table.isJSON {
                commands.begin(2)
                commands.add("DEL")
                commands.add(partsOf: parts)
            }
            let value = addValue(row, table)
            add(row, table, longest: max(key, value.longest))
            commands.begin(2 + value.count + (table.isJSON && ttl != "0" ? 2 : 0))
            commands.add(table.isJSON ? "SET" : "HSET")
            commands.add(partsOf: parts)
            if ttl == "0" { continue }
            if table.isJSON {
                commands.add("EX")
            } else {
                parts.clear()
                _ = addKey(row, table)
                commands.begin(3)
                commands.add("EXPIRE")
                commands.add(partsOf: parts)
            }
            commands.add(ttl)
        }
    }

    /// By a script, which looks at what is there.
    private mutating func put(_ range: Range<Int>, _ table: RedisSinkTable, _ block: UInt64, base: [UInt8], keeps: Bool) {
        parts.clear()
        var arguments = RedisSinkTable.putArguments
        for row in range {
            let key = addKey(row, table)
            let count =
                table.isJSON ? 1 : table.names.indices.reduce(0) { plain.isNull($1, row) ? $0 : $0 + 2 }
            parts.add("\(count)")
            add(row, table, longest: max(key, addValue(row, table).longest))
            arguments += 2 + count
        }
        commands.begin(script: RedisSinkScripts.put, arguments)
        table.addPut(base, block, keeps: keeps, to: &commands)
        commands.add(partsOf: parts)
    }
}
