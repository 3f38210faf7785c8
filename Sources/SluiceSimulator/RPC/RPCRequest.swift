/// One JSON-RPC call, read from a request body.
struct RPCCall {
    /// As it came, quotes included: it is echoed verbatim.
    var id: [UInt8]
    var method: String
    var params: [RPCParam]

    /// Whether the answer says what the newest block is.
    var asksForHead: Bool { method == "eth_blockNumber" || method == "eth_getBlockByNumber" && params.first?.text == "latest" }
}

/// A parameter, as far as these methods know them.
indirect enum RPCParam: Equatable {
    case string(String)
    case bool(Bool)
    case null
    case array([RPCParam])
    case object([String: RPCParam])
    case number(String)

    var text: String? { if case .string(let text) = self { text } else { nil } }
}

/// What a request body turned out to be.
enum RPCRequest {
    case single(RPCCall)
    /// An element that is no call is nil.
    case batch([RPCCall?])
    /// Not JSON (-32700).
    case unparsable
    /// JSON, but no call and no batch with anything in it (-32600).
    case invalid

    init(_ body: UnsafeBufferPointer<UInt8>) {
        let scanner = JSONScanner(body)
        do {
            let document = try scanner.document()
            if scanner.isArray(document) {
                let elements = try scanner.elements(document)
                self = elements.isEmpty ? .invalid : .batch(try elements.map { try Self.call(scanner, $0) })
            } else if let call = try Self.call(scanner, document) {
                self = .single(call)
            } else {
                self = .invalid
            }
        } catch {
            self = .unparsable
        }
    }

    private static func call(_ scanner: JSONScanner, _ range: Range<Int>) throws -> RPCCall? {
        guard scanner.isObject(range) else { return nil }
        var call = RPCCall(id: Array("null".utf8), method: "", params: [])
        for member in try scanner.members(range) {
            if scanner.equals(member.key, "id") {
                guard !scanner.isObject(member.value), !scanner.isArray(member.value) else { return nil }
                call.id = Array(scanner.bytes[member.value])
            } else if scanner.equals(member.key, "method") {
                guard let method = scanner.string(member.value) else { return nil }
                call.method = method
            } else if scanner.equals(member.key, "params") {
                guard scanner.isArray(member.value) else { return nil }
                call.params = try scanner.elements(member.value).map { try param(scanner, $0) }
            }
        }
        return call.method.isEmpty ? nil : call
    }

    private static func param(_ scanner: JSONScanner, _ range: Range<Int>) throws -> RPCParam {
        switch scanner.kind(range) {
        case UInt8(ascii: "\""): return .string(scanner.text(range.lowerBound + 1..<range.upperBound - 1))
        case UInt8(ascii: "t"): return .bool(true)
        case UInt8(ascii: "f"): return .bool(false)
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "["): return .array(try scanner.elements(range).map { try param(scanner, $0) })
        case UInt8(ascii: "{"):
            var object: [String: RPCParam] = [:]
            for member in try scanner.members(range) { object[scanner.text(member.key)] = try param(scanner, member.value) }
            return .object(object)
        default: return .number(scanner.text(range))
        }
    }
}

/// An error object of JSON-RPC.
struct RPCError: Error, Equatable {
    var code: Int
    var message: String

    static let parse = RPCError(code: -32700, message: "parse error")
    static let invalidRequest = RPCError(code: -32600, message: "invalid request")
    static func unknown(_ method: String) -> RPCError {
        // Only what needs no escape is repeated.
        let name = method.filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
        return RPCError(code: -32601, message: "the method \(name) does not exist/is not available")
    }
    static func params(_ message: String) -> RPCError { RPCError(code: -32602, message: message) }

    /// The answer that carries it.
    func answer(id: [UInt8]) -> [UInt8] {
        Array(#"{"jsonrpc":"2.0","id":"#.utf8) + id + Array(#","error":{"code":\#(code),"message":"\#(message)"}}"#.utf8)
    }
}
