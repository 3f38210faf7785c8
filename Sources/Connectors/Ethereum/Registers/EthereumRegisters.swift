public import SluiceCore

/// The registers of a chain that speaks Ethereum JSON-RPC.
public enum EthereumRegisters {
    /// All of them; `geth_block`, the oracle, comes first.
    public static let all: [Register] = [
        Register(
            name: "geth_block", number: .gethBlock, doc: "Whole blocks: all tables that the oracle makes.", schemas: EthereumTables.all,
            needs: EthereumTables.all.map { Need($0.name) }, maker: .oracle { TablePipe(schemas: EthereumTables.all) }),
        part(.blocks, EthereumTables.blocks),
        part(.transactions, EthereumTables.transactions),
        part(.logs, EthereumTables.logs),
        transfers(.erc20Transfers, .erc20, "ERC-20 transfers; alone, by filtered eth_getLogs."),
        transfers(.erc721Transfers, .erc721, "ERC-721 transfers; alone, by filtered eth_getLogs."),
        transfers(.erc1155Transfers, .erc1155, "ERC-1155 transfers, one row an item of a batch; alone, by filtered eth_getLogs."),
        part(.withdrawals, EthereumTables.withdrawals),
        // What is wanted of it a pipeline says: see `EventLogOptions`.
        EventLogRegister.register(),
        AccountBalanceRegister.register(),
        BlockBundles.register,
    ]

    /// The oracle that reads what is needed: blocks, and balances where they are among it.
    public static func oracle(
        _ node: EthereumNode, needs: [Need], recent: any RecentBlocks, observe: @escaping @Sendable (OracleEvent) -> Void = { _ in }
    ) -> any Oracle {
        needs.contains { $0.table == BalanceTables.balances.name }
            ? BalanceOracle(node: node, needs: needs, recent: recent, observe: observe)
            : GethBlockOracle(node: node, needs: needs, recent: recent, observe: observe)
    }

    private static func part(_ number: RegisterType, _ schema: Schema) -> Register {
        Register(
            name: schema.name, number: number, doc: schema.doc, schemas: [schema], dependencies: ["geth_block"], needs: [Need(schema.name)],
            maker: .pipe { _ in TablePipe(schemas: [schema]) })
    }

    private static func transfers(_ number: RegisterType, _ standard: TransferPipe.Standard, _ doc: String) -> Register {
        Register(
            name: standard.schema.name, number: number, doc: doc, schemas: [standard.schema], dependencies: ["geth_block"],
            needs: [Need(EthereumTables.logs.name, topics: standard.topics)], maker: .pipe { _ in TransferPipe(standard) })
    }
}
