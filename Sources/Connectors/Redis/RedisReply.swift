import CHiredis

/// One command: its name and what comes with it.
struct RedisCommand: Sendable {
    let parts: [[UInt8]]

    init(_ parts: [[UInt8]]) { self.parts = parts }
    init(_ words: String...) { parts = words.map { Array($0.utf8) } }

    /// A script without declared keys. They are worked out from what is stored, so that no cluster could tell them beforehand.
    static func script(_ text: String, _ arguments: [[UInt8]]) -> RedisCommand {
        RedisCommand([Array("EVAL".utf8), Array(text.utf8), [UInt8(ascii: "0")]] + arguments)
    }
}

/// What a server answers.
indirect enum RedisReply: Sendable, Equatable {
    case null
    case integer(Int64)
    case bytes([UInt8])
    case array([RedisReply])
    /// Its first word is a code.
    case error(String)

    /// Copies what the library read.
    init(_ reply: UnsafePointer<redisReply>) {
        let text = UnsafeRawBufferPointer(start: reply.pointee.str, count: reply.pointee.str == nil ? 0 : reply.pointee.len)
        switch reply.pointee.type {
        case REDIS_REPLY_INTEGER: self = .integer(reply.pointee.integer)
        case REDIS_REPLY_STRING, REDIS_REPLY_STATUS: self = .bytes(Array(text))
        case REDIS_REPLY_ERROR: self = .error(String(decoding: text, as: UTF8.self))
        case REDIS_REPLY_ARRAY:
            let elements = UnsafeBufferPointer(start: reply.pointee.element, count: reply.pointee.elements)
            self = .array(elements.map { $0.map { RedisReply($0) } ?? .null })
        default: self = .null
        }
    }
}

/// How a transaction ended.
enum RedisEnding: Equatable {
    /// All of it was done.
    case done
    /// None of it, because something that was watched has changed.
    case none
    /// None of it.
    case error(String)
    /// A command inside of it failed; the others were done.
    case broken(String)

    /// Out of the answers to all of its commands.
    init(_ tally: inout sluice_tally) {
        switch tally.kind {
        case REDIS_REPLY_NIL: self = .none
        // What was wrong with a command says more than that the whole was given up for it.
        case REDIS_REPLY_ERROR: self = .error(Self.text(&tally.refused))
        case REDIS_REPLY_ARRAY where tally.broken_at >= 0: self = .broken(Self.text(&tally.broken))
        default: self = .done
        }
    }

    static func text<T>(_ words: inout T) -> String {
        withUnsafeBytes(of: &words) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
