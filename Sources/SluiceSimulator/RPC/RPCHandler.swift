import SluiceCore

/// Answers JSON-RPC calls from a chain. Pure but for the chain it asks.
struct RPCHandler {
    let chain: any SimulatedChain
    let options: RPCOptions
    /// How many blocks the node behind this request lags.
    var lag: UInt64 = 0
    /// Adds to the chain id, for the wrong chain.
    var chainIDOffset: UInt64 = 0
    /// Blocks above this are not known yet, though the head is.
    var unknownAbove: UInt64?

    private var head: UInt64 { max(chain.first, chain.head - min(chain.head, lag)) }

    /// The `result` of a call. Throws `RPCError`.
    func result(_ call: RPCCall) throws -> Body {
        if options.disabledMethods.contains(call.method) { throw RPCError.unknown(call.method) }
        switch call.method {
        case "eth_chainId": return quoted(Hex.quantity(chain.chainID + chainIDOffset))
        case "net_version": return quoted(String(chain.chainID + chainIDOffset))
        case "web3_clientVersion": return quoted(options.clientVersion)
        case "eth_syncing": return Body("false")
        case "eth_blockNumber": return quoted(Hex.quantity(head))
        case "eth_getBlockByNumber":
            return try block(try key(call, at: 0, hashAllowed: false), full: try flag(call, at: 1))
        case "eth_getBlockByHash":
            guard let hash = call.params.first?.text.flatMap({ Hash32(hex: $0) }) else {
                throw RPCError.params("invalid argument 0: a block hash is needed")
            }
            return try block(known(chain.key(of: hash)), full: try flag(call, at: 1))
        case "eth_getBlockReceipts": return try receipts(try key(call, at: 0, hashAllowed: true))
        case "eth_getTransactionReceipt": return try receipt(call)
        case "eth_getLogs": return try logs(call)
        case "eth_getBalance": return try balance(call)
        default: throw RPCError.unknown(call.method)
        }
    }

    /// The block number that a call is about; nil when it names none.
    func blockNumber(_ call: RPCCall) -> UInt64? {
        guard call.method == "eth_getBlockByNumber" || call.method == "eth_getBlockReceipts" else { return nil }
        return (try? key(call, at: 0, hashAllowed: true))?.number
    }

    // MARK: blocks

    private func block(_ key: BlockKey?, full: Bool) throws -> Body {
        guard let key, let text = try chain.text(full ? .block : .hashes, of: key) else { return Body("null") }
        return body(text)
    }

    private func receipts(_ key: BlockKey?) throws -> Body {
        guard let key else { return Body("null") }
        guard let text = try chain.text(.receipts, of: key) else {
            throw RPCError(code: -32000, message: "the recording has no receipts of block \(key.number)")
        }
        return body(text)
    }

    private func receipt(_ call: RPCCall) throws -> Body {
        guard let text = call.params.first?.text, Hash32(hex: text) != nil else {
            throw RPCError.params("invalid argument 0: a transaction hash is needed")
        }
        guard let place = try chain.place(ofTransaction: text.lowercased()), known(place.key) != nil,
            let index = try chain.index(of: place.key), let receipts = try chain.text(.receipts, of: place.key)
        else { return Body("null") }
        var body = Body()
        body.append(.shared(receipts, index.receipts[place.index]))
        return body
    }

    private func known(_ key: BlockKey?) -> BlockKey? {
        // Without a lag everything the chain names is known: an orphan may even have a higher number than the head.
        guard let key, lag == 0 || key.number <= head, key.number <= unknownAbove ?? .max else { return nil }
        return key
    }

    func key(_ call: RPCCall, at index: Int, hashAllowed: Bool) throws -> BlockKey? {
        guard index < call.params.count else { throw RPCError.params("missing value for required argument \(index)") }
        if hashAllowed, case .object(let object) = call.params[index], let text = object["blockHash"]?.text {
            return known(Hash32(hex: text).flatMap { chain.key(of: $0) })
        }
        if hashAllowed, case .object(let object) = call.params[index], let text = object["blockNumber"]?.text {
            return known(chain.key(of: try number(text, argument: index)))
        }
        guard let text = call.params[index].text else { throw RPCError.params("invalid argument \(index): not a string") }
        if hashAllowed, let hash = Hash32(hex: text) { return known(chain.key(of: hash)) }
        return known(chain.key(of: try number(text, argument: index)))
    }

    private func number(_ text: String, argument: Int) throws -> UInt64 {
        switch text {
        case "latest", "pending": return head
        case "earliest": return chain.first
        case "safe", "finalized":
            guard options.hasFinalityTags else { throw RPCError.params("invalid argument \(argument): the tag \(text) is not supported") }
            return min(head, text == "safe" ? chain.safe : chain.finalized)
        default:
            guard let number = Hex.quantity(text) else { throw RPCError.params("invalid argument \(argument): not a block number") }
            return number
        }
    }

    private func flag(_ call: RPCCall, at index: Int) throws -> Bool {
        guard index < call.params.count else { return false }
        guard case .bool(let flag) = call.params[index] else { throw RPCError.params("invalid argument \(index): not a bool") }
        return flag
    }

    private func quoted(_ text: String) -> Body { Body("\"\(text)\"") }

    private func body(_ text: SharedText) -> Body {
        var body = Body()
        body.append(text)
        return body
    }

    // MARK: logs

    private func logs(_ call: RPCCall) throws -> Body {
        guard case .object(let filter)? = call.params.first else { throw RPCError.params("invalid argument 0: a filter is needed") }
        let keys = try logBlocks(filter)
        let filters = try LogFilter(filter)
        var body = Body("[")
        var count = 0
        for key in keys {
            guard let index = try chain.index(of: key) else { continue }
            let hits = index.logs.filter(filters.matches)
            guard !hits.isEmpty, let text = try chain.text(.receipts, of: key) else { continue }
            count += hits.count
            guard count <= options.maxLogResults else {
                throw RPCError(code: -32005, message: "query returned more than \(options.maxLogResults) results")
            }
            for (at, log) in hits.enumerated() {
                if at > 0 || count > hits.count { body.append(",") }
                // Copied, because logs of many blocks of one template would otherwise hold as many patched copies.
                body.append(text.bytes[log.range])
            }
        }
        body.append("]")
        return body
    }

    private func logBlocks(_ filter: [String: RPCParam]) throws -> [BlockKey] {
        if let hash = filter["blockHash"]?.text {
            guard filter["fromBlock"] == nil, filter["toBlock"] == nil else {
                throw RPCError.params("cannot specify both blockHash and fromBlock/toBlock")
            }
            guard let key = known(Hash32(hex: hash).flatMap({ chain.key(of: $0) })) else {
                throw RPCError(code: -32000, message: "unknown block")
            }
            return [key]
        }
        let from = try number(filter["fromBlock"]?.text ?? "latest", argument: 0)
        let to = try number(filter["toBlock"]?.text ?? "latest", argument: 0)
        guard from <= to else { throw RPCError.params("invalid block range params") }
        guard to - from < options.maxLogBlocks else { throw RPCError.params("exceed maximum block range: \(options.maxLogBlocks)") }
        // What lies above this node's head is silently left out, as balanced nodes do.
        return (from...to).compactMap { known(chain.key(of: $0)) }
    }
}

/// The address and topics of an `eth_getLogs` filter.
struct LogFilter {
    private var addresses: Set<String>?
    /// For each place the topics that match; nil matches any.
    private var topics: [Set<String>?] = []

    init(_ filter: [String: RPCParam]) throws {
        addresses = try Self.alternatives(filter["address"], "address")
        switch filter["topics"] {
        case nil, .null?: break
        case .array(let places)?:
            guard places.count <= 4 else { throw RPCError.params("exceed max topics") }
            topics = try places.map { try Self.alternatives($0, "topics") }
        default: throw RPCError.params("invalid topics")
        }
    }

    func matches(_ log: ReceiptIndex.Log) -> Bool {
        if let addresses, !addresses.contains(log.address) { return false }
        guard log.topics.count >= topics.count else { return false }
        return zip(topics, log.topics).allSatisfy { wanted, topic in wanted?.contains(topic) ?? true }
    }

    private static func alternatives(_ value: RPCParam?, _ name: String) throws -> Set<String>? {
        switch value {
        case nil, .null?: return nil
        case .string(let text)?: return [text.lowercased()]
        case .array(let items)?:
            // A null among the alternatives, or none at all, matches anything.
            if items.isEmpty || items.contains(.null) { return nil }
            return Set(
                try items.map { item in
                    guard let text = item.text else { throw RPCError.params("invalid \(name)") }
                    return text.lowercased()
                })
        default: throw RPCError.params("invalid \(name)")
        }
    }
}
