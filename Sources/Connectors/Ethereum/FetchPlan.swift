import SluiceChain
public import SluiceCore

/// What must be read about each block, worked out from what is asked for downstream: nothing else is fetched.
public struct FetchPlan: Hashable, Sendable {
    /// Tables to make.
    public let tables: Set<String>
    /// Blocks with their transactions, and the receipts of all of them.
    public let transactions: Bool
    /// Receipts, one call a block.
    public let receipts: Bool
    /// Logs by `eth_getLogs`; nil when none are wanted, or when they come with the receipts.
    public let logFilter: LogFilter?

    /// The plan that serves all needs at once.
    public init(needs: [Need]) {
        tables = Set(needs.map(\.table))
        transactions = tables.contains(EthereumTables.transactions.name)
        receipts = transactions
        let logs = needs.filter { $0.table == EthereumTables.logs.name }
        logFilter = logs.isEmpty || receipts ? nil : Self.filter(logs)
    }

    /// A filter that lets through what any of the needs wants. One that names no topics (or no contracts) wants all of them, so that the
    /// others cannot narrow it; what comes too much, pipes leave out.
    private static func filter(_ needs: [Need]) -> LogFilter {
        let topics = needs.contains(where: \.topics.isEmpty) ? [] : Set(needs.flatMap(\.topics))
        let named = needs.contains(where: \.addresses.isEmpty) ? [] : Set(needs.flatMap(\.addresses))
        let addresses = named.compactMap { Address($0) }
        // What is no address must not make the filter narrower than the need.
        let fits = addresses.count == named.count && addresses.count <= addressLimit
        let sorted = addresses.map(\.bytes).sorted { $0.lexicographicallyPrecedes($1) }.compactMap { Address($0) }
        return LogFilter(topics: topics.sorted(), addresses: fits ? sorted : [])
    }

    /// Most contracts that one `eth_getLogs` names: providers refuse more.
    static let addressLimit = 1000

    /// JSON-RPC calls a block, on the average of a long range.
    public var callsPerBlock: Double { receipts ? 2 : logFilter == nil ? 1 : 1 + 1 / Double(Self.logRange) }

    /// Blocks asked for by one `eth_getLogs`, when nothing is known of the endpoint's limit.
    static let logRange = 50
}
