import CHiredis
import SluiceCore
import SluiceFormats

/// Makes commands of rows. They begin a transaction, whose end is up to the caller.
struct RedisRowEncoder: ~Copyable {
    private var commands = RedisCommands()
    private var json = TextRows(.jsonl)
    private var plain = TextRows(.csv)
    private var parts: [[UInt8]] = []
    /// Of each stream the id of the first entry that comes.
    private(set) var firstIDs: [[UInt8]: RedisStreamID] = [:]
    private var lastIDs: [[UInt8]: RedisStreamID] = [:]

    mutating func begin() {
        commands = RedisCommands()
        commands.command("MULTI")
        (firstIDs, lastIDs) = ([:], [:])
    }

    /// What was made.
    mutating func take() -> RedisCommands {
        defer { commands = RedisCommands() }
        return commands
    }

    /// - Parameters:
    ///   - finalized: up to there values may be put down without a look at what is there; nil: nowhere.
    ///   - keepsAbove: above it displaced values are kept.
    mutating func append(_ batch: Batch, _ tables: [RedisSinkTable], base: [UInt8], finalized: UInt64?, keepsAbove: UInt64) throws {
        for table in tables {
            guard let rows = batch.table(table.schema.name), rows.rowCount > 0 else { continue }
            let numbers = rows.columns[table.number]
            var row = 0
            while row < rows.rowCount {
                let block = numbers.load(row, as: UInt64.self)
                var end = row + 1
                while end < rows.rowCount, numbers.load(end, as: UInt64.self) == block { end += 1 }
                switch table.options.mode {
                case .skip: break
                case .publish: publish(rows, row..<end, table)
                case .stream: try add(rows, row..<end, table, block)
                case .latest:
                    if let finalized, block <= finalized {
                        set(rows, row..<end, table)
                    } else {
                        put(rows, row..<end, table, block, base: base, keeps: block > keepsAbove)
                    }
                }
                row = end
            }
        }
    }

    private mutating func value(_ rows: Table, _ row: Int, _ table: RedisSinkTable) {
        parts.removeAll(keepingCapacity: true)
        table.value(rows, row, &json, &plain, into: &parts)
    }

    private mutating func publish(_ rows: Table, _ range: Range<Int>, _ table: RedisSinkTable) {
        for row in range {
            value(rows, row, table)
            commands.begin(3)
            commands.add("PUBLISH")
            commands.add(table.target)
            commands.add(parts[0])
        }
    }

    private mutating func add(_ rows: Table, _ range: Range<Int>, _ table: RedisSinkTable, _ block: UInt64) throws {
        let target = table.target
        for row in range {
            // From 1: there is no id 0-0.
            let id = RedisStreamID(block, UInt64(row - range.lowerBound + 1))
            if let last = lastIDs[target], last >= id { throw RedisSinkStore.order(target, id, last, "redis") }
            lastIDs[target] = id
            if firstIDs[target] == nil { firstIDs[target] = id }
            value(rows, row, table)
            let isJSON = table.options.form == .json
            commands.begin(3 + parts.count + (isJSON ? 1 : 0) + (table.options.maxLength == nil ? 0 : 3))
            commands.add("XADD")
            commands.add(target)
            if let length = table.options.maxLength {
                commands.add("MAXLEN")
                commands.add("~")
                commands.add("\(length)")
            }
            commands.add("\(id.block)-\(id.place)")
            if isJSON { commands.add("row") }
            for part in parts { commands.add(part) }
        }
    }

    private mutating func set(_ rows: Table, _ range: Range<Int>, _ table: RedisSinkTable) {
        for row in range {
            let key = table.template.key(rows, row, &plain)
            value(rows, row, table)
            let ttl = table.timeToLive
            if table.options.form == .json {
                commands.begin(ttl == "0" ? 3 : 5)
                commands.add("SET")
                commands.add(key)
                commands.add(parts[0])
                if ttl != "0" {
                    commands.add("EX")
                    commands.add(ttl)
                }
                continue
            }
            commands.begin(2)
            commands.add("DEL")
            commands.add(key)
            commands.begin(2 + parts.count)
            commands.add("HSET")
            commands.add(key)
            for part in parts { commands.add(part) }
            if ttl != "0" {
                commands.begin(3)
                commands.add("EXPIRE")
                commands.add(key)
                commands.add(ttl)
            }
        }
    }

    /// By a script, which looks at what is there.
    private mutating func put(
        _ rows: Table, _ range: Range<Int>, _ table: RedisSinkTable, _ block: UInt64, base: [UInt8], keeps: Bool
    ) {
        let field = table.schema.fields[table.number].name
        var arguments = [
            base, Array("\(block)".utf8), Array((keeps ? "1" : "0").utf8), Array(table.timeToLive.utf8), Array(field.utf8),
            Array((table.options.form == .json ? "J" : "F").utf8),
        ]
        for row in range {
            arguments.append(table.template.key(rows, row, &plain))
            value(rows, row, table)
            arguments.append(Array("\(parts.count)".utf8))
            arguments += parts
        }
        commands.script(RedisSinkScripts.put, arguments)
    }
}

/// How a transaction ended.
enum RedisEnding {
    /// All of it was done.
    case done
    /// None of it, because something that was watched has changed.
    case none
    /// None of it.
    case error(String)
    /// A command inside of it failed; the others were done.
    case broken(String)

    init(_ reply: UnsafePointer<redisReply>) {
        switch reply.pointee.type {
        case REDIS_REPLY_NIL: self = .none
        case REDIS_REPLY_ERROR: self = .error(Self.text(reply))
        case REDIS_REPLY_ARRAY:
            for element in UnsafeBufferPointer(start: reply.pointee.element, count: reply.pointee.elements) {
                guard let element, element.pointee.type == REDIS_REPLY_ERROR else { continue }
                self = .broken(Self.text(UnsafePointer(element)))
                return
            }
            self = .done
        default: self = .done
        }
    }

    var error: String? { if case .error(let text) = self { text } else { nil } }

    private static func text(_ reply: UnsafePointer<redisReply>) -> String {
        String(decoding: UnsafeRawBufferPointer(start: reply.pointee.str, count: reply.pointee.len), as: UTF8.self)
    }
}
