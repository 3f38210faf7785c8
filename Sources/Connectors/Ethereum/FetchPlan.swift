public import SluiceCore

/// What must be read about each block, worked out from what is asked for downstream: nothing else is fetched.
public struct FetchPlan: Hashable, Sendable {
    /// Tables to make.
    public let tables: Set<String>
    /// Blocks with their transactions, and the receipts of all of them.
    public let transactions: Bool
    /// Receipts, one call a block.
    public let receipts: Bool
    /// Logs by `eth_getLogs`; the first topics wanted, empty for all. Nil when none are wanted, or when they come with the receipts.
    public let logTopics: [Hash32]?

    /// The plan that serves all needs at once.
    public init(needs: [Need]) {
        tables = Set(needs.map(\.table))
        transactions = tables.contains(EthereumTables.transactions.name)
        receipts = transactions
        let logs = needs.filter { $0.table == EthereumTables.logs.name }
        if logs.isEmpty || receipts {
            logTopics = nil
        } else if logs.contains(where: \.topics.isEmpty) {
            logTopics = []
        } else {
            logTopics = Set(logs.flatMap(\.topics)).sorted()
        }
    }

    /// JSON-RPC calls a block, on the average of a long range.
    public var callsPerBlock: Double { receipts ? 2 : logTopics == nil ? 1 : 1 + 1 / Double(Self.logRange) }

    /// Blocks asked for by one `eth_getLogs`, when nothing is known of the endpoint's limit.
    static let logRange = 50
}
