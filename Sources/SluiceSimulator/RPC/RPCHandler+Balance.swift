import SluiceChain
import SluiceCore

extension RPCHandler {
    /// `eth_getBalance`, at a block by tag, number or hash (EIP-1898).
    func balance(_ call: RPCCall) throws -> Body {
        guard let text = call.params.first?.text, let address = Address(hex: text) else {
            throw RPCError.params("invalid argument 0: an address is needed")
        }
        if options.refusedBalances.contains("\(address)") { throw RPCError(code: -32000, message: "internal error") }
        if case .object? = call.params.dropFirst().first, !options.hasBlockHashParameters {
            throw RPCError.params("invalid argument 1: cannot unmarshal object into Go value of type string")
        }
        guard let key = try key(call, at: 1, hashAllowed: true) else { throw RPCError(code: -32000, message: "header not found") }
        let hash = try chain.hash(of: key)
        if options.forgetsOrphans, chain.key(of: key.number) != key { throw RPCError(code: -32000, message: "header for hash not found") }
        let isKept = options.stateBlocks.map { key.number + $0 > chain.head } ?? true
        guard isKept, let balance = try chain.balance(of: address.bytes, at: key) else {
            throw RPCError(code: -32000, message: "missing trie node \(hash) (path ) state \(hash) is not available, not found")
        }
        return Body("\"\(Hex.quantity(balance))\"")
    }
}
