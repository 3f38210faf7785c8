public import SluiceCore

extension EthereumRegisters {
    /// Native balances of the addresses in the shared state. It is addressed: somebody must say whose balances are wanted.
    public static let accountBalance = Register(
        name: "account_balance", number: .accountBalance,
        doc: "Native balances of the addresses in the shared state: the newest block of each poll, and every so many blocks.",
        schemas: [BalanceTables.balances], needs: [Need(BalanceTables.balances.name)], isAddressed: true,
        stateKey: accountBalanceKey, maker: .oracle { BalancePipe() })

    /// Where the shared state keeps the addresses of a pipeline: a flat set, lower case with `0x`.
    public static let accountBalanceKey = StateKeyShape(prefix: "account_balance", id: "address")

    /// The oracle that reads what is needed: blocks, and balances where they are among it.
    public static func oracle(
        _ node: EthereumNode, needs: [Need], recent: any RecentBlocks, balances: BalanceSource, options: BalanceOptions = BalanceOptions(),
        observe: @escaping @Sendable (OracleEvent) -> Void = { _ in }
    ) -> any Oracle {
        guard needs.contains(where: { $0.table == BalanceTables.balances.name }) else {
            return GethBlockOracle(node: node, needs: needs, recent: recent, observe: observe)
        }
        return BalanceOracle(node: node, needs: needs, recent: recent, source: balances, options: options, observe: observe)
    }
}
