import SluiceChain
public import SluiceCore

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
        if let kept = options.stateBlocks, key.number + kept <= chain.head {
            throw RPCError(code: -32000, message: "missing trie node \(hash) (path ) state \(hash) is not available, not found")
        }
        return Body("\"\(Hex.quantity(Simulator.balance(of: address.bytes, at: hash)))\"")
    }
}

extension Simulator {
    /// What an address has at a block, in wei: a function of both that is not the sum of any transfers, different on every branch. One
    /// address in sixteen has nothing, one has more than 64 bits hold, one has a number of full width.
    public static func balance(of address: [UInt8], at block: Hash32) -> UInt256 {
        let bytes = Keccak256.hash(address + block.bytes).bytes
        switch bytes[31] & 15 {
        case 0: return .zero
        case 1: return UInt256(bigEndian: bytes) ?? .zero
        default: return UInt256(bigEndian: bytes.prefix(9)) ?? .zero
        }
    }
}
