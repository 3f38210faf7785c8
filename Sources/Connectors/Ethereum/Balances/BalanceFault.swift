import SluiceChain
import SluiceCore

/// Something of a sampled block that could not be read.
struct BalanceFault: Sendable {
    enum Reason: String, Sendable {
        /// A member of the set is no address.
        case malformed = "address_malformed"
        /// The balance of one address was refused, again and again, while others were told.
        case refused = "balance_unavailable"
        /// No endpoint has the state of the block.
        case pruned = "state_unavailable"
        /// The same, of a block that the pipeline cannot go on without.
        case needed = "state_needed"
        /// The block was orphaned while it was asked about.
        case orphaned
    }

    let reason: Reason
    let row: String
    let message: String
    let payload: String

    private init(_ reason: Reason, row: String, message: String, payload: String) {
        self.reason = reason
        self.row = row
        self.message = message
        self.payload = payload
    }

    static func malformed(_ member: String) -> BalanceFault {
        BalanceFault(
            .malformed, row: "address \(member.prefix(100))",
            message: "reading the addresses: a member of the set is no address, which has 40 hex digits behind 0x",
            payload: "{\"address\":\(member.jsonQuoted)}")
    }

    static func refused(_ address: Address, _ message: String) -> BalanceFault {
        BalanceFault(.refused, row: "address \(address)", message: message, payload: "{\"address\":\"\(address)\"}")
    }

    /// - Parameter answer: what an endpoint says.
    static func pruned(_ block: BlockRef, addresses: Int, answer: String, isNeeded: Bool) -> BalanceFault {
        BalanceFault(
            isNeeded ? .needed : .pruned, row: "block \(block.number)",
            message: "no endpoint has the state of block \(block.number); \(answer)",
            payload: "{\"block\":\(block.number),\"addresses\":\(addresses)}")
    }

    static func orphaned(_ block: BlockRef) -> BalanceFault {
        BalanceFault(.orphaned, row: "block \(block.number)", message: "", payload: "{}")
    }
}
