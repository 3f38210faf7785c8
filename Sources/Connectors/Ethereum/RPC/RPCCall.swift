import SluiceChain
import SluiceCore
import SluiceFormats

/// One JSON-RPC call: what is asked, and how the answer is read.
struct RPCCall: Sendable {
    let method: String
    /// The parameters, as a JSON array.
    let params: String
    /// How the result is read.
    let reading: JSONCall

    static func chainID() -> RPCCall { RPCCall(method: "eth_chainId", params: "[]", reading: BlockDecoder.valueCall) }

    /// A header by tag (`latest`, `finalized`) or number.
    static func header(_ block: String) -> RPCCall {
        RPCCall(method: "eth_getBlockByNumber", params: "[\"\(block)\",false]", reading: BlockDecoder.headerCall)
    }

    static func header(_ number: UInt64) -> RPCCall { header(Hex.quantity(number)) }

    static func header(hash: Hash32) -> RPCCall {
        RPCCall(method: "eth_getBlockByHash", params: "[\"\(hash)\",false]", reading: BlockDecoder.headerCall)
    }

    static func block(_ number: UInt64) -> RPCCall {
        RPCCall(method: "eth_getBlockByNumber", params: "[\"\(Hex.quantity(number))\",true]", reading: BlockDecoder.blockCall)
    }

    static func receipts(_ number: UInt64) -> RPCCall {
        RPCCall(method: "eth_getBlockReceipts", params: "[\"\(Hex.quantity(number))\"]", reading: BlockDecoder.receiptsCall)
    }

    static func receipt(transaction: Hash32) -> RPCCall {
        RPCCall(method: "eth_getTransactionReceipt", params: "[\"\(transaction)\"]", reading: BlockDecoder.receiptCall)
    }

    static func logs(_ range: ClosedRange<UInt64>, filter: LogFilter) -> RPCCall {
        logs("\"fromBlock\":\"\(Hex.quantity(range.lowerBound))\",\"toBlock\":\"\(Hex.quantity(range.upperBound))\"", filter)
    }

    /// By hash: a node that does not know the block then says so, where it would answer a range with nothing.
    static func logs(blockHash: Hash32, filter: LogFilter) -> RPCCall { logs("\"blockHash\":\"\(blockHash)\"", filter) }

    private static func logs(_ place: String, _ filter: LogFilter) -> RPCCall {
        func list(_ items: [some CustomStringConvertible]) -> String { items.map { "\"\($0)\"" }.joined(separator: ",") }
        var fields = place
        if !filter.addresses.isEmpty { fields += ",\"address\":[\(list(filter.addresses))]" }
        if !filter.topics.isEmpty { fields += ",\"topics\":[[\(list(filter.topics))]]" }
        return RPCCall(method: "eth_getLogs", params: "[{\(fields)}]", reading: BlockDecoder.logsCall)
    }

    /// What an address has at a block: by hash, so that the answer is of that very block or none at all (EIP-1898).
    static func balance(_ address: Address, at hash: Hash32) -> RPCCall {
        RPCCall(method: "eth_getBalance", params: "[\"\(address)\",{\"blockHash\":\"\(hash)\"}]", reading: BlockDecoder.valueCall)
    }

    /// The same by number, for upstreams that know no other way.
    static func balance(_ address: Address, at number: UInt64) -> RPCCall {
        RPCCall(method: "eth_getBalance", params: "[\"\(address)\",\"\(Hex.quantity(number))\"]", reading: BlockDecoder.valueCall)
    }

    /// What the call costs where a provider counts units.
    var units: Int { ComputeUnits.of(method) }

    /// The body of a request: one call as an object, several as a batch; ids count from `firstID`.
    static func body(_ calls: [RPCCall], firstID: Int64) -> [UInt8] {
        var text = calls.count == 1 ? "" : "["
        for (index, call) in calls.enumerated() {
            if index > 0 { text += "," }
            text += "{\"jsonrpc\":\"2.0\",\"id\":\(firstID + Int64(index)),\"method\":\"\(call.method)\",\"params\":\(call.params)}"
        }
        if calls.count > 1 { text += "]" }
        return Array(text.utf8)
    }
}
