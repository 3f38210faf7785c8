import SluiceChain
public import SluiceCore

/// What asking for balances costs, worked out without connecting.
public struct BalanceCost: Sendable, Hashable {
    /// How many addresses are asked for, each once.
    public let addresses: Int
    /// Calls a block, on the average of a long range.
    public let perBlock: Double

    /// Nil when nobody asks for any.
    public init?(needs: [Need]) {
        let asks = needs.compactMap(\.sample).map(BalanceAsk.init)
        // By address: every so many blocks, for somebody.
        var intervals: [Address: Set<UInt64>] = [:]
        for ask in asks { for address in ask.addresses { intervals[address, default: []].insert(ask.options.intervalBlocks) } }
        guard !intervals.isEmpty else { return nil }
        addresses = intervals.count
        perBlock = intervals.values.reduce(0) { $0 + Self.density($1) }
    }

    /// Calls a block at the head, of whose blocks a share is the newest of some poll.
    public func perBlock(atHead share: Double) -> Double { max(perBlock, Double(addresses) * min(1, share)) }

    /// The share of blocks that are on one of some grids: at most, where grids fall together elsewhere than one within the other.
    private static func density(_ intervals: Set<UInt64>) -> Double {
        let own = intervals.filter { one in !intervals.contains { $0 < one && one.isMultiple(of: $0) } }
        return min(1, own.reduce(0) { $0 + 1 / Double($1) })
    }
}
