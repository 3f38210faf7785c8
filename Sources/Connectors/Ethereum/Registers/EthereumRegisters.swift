public import SluiceCore

/// The registers of a chain that speaks Ethereum JSON-RPC.
public enum EthereumRegisters {
    /// All of them; `geth_block`, the oracle, comes first.
    public static let all: [Register] = [
        Register(
            name: "geth_block", kind: .oracle, doc: "Whole blocks: all tables that the oracle makes.", schemas: EthereumTables.all,
            dependencies: [], needs: EthereumTables.all.map { Need($0.name) }, makePipe: { TablePipe(schemas: EthereumTables.all) }),
        part(EthereumTables.blocks),
        part(EthereumTables.transactions),
        part(EthereumTables.logs),
        transfers(.erc20, "ERC-20 transfers; alone, by filtered eth_getLogs."),
        transfers(.erc721, "ERC-721 transfers; alone, by filtered eth_getLogs."),
        transfers(.erc1155, "ERC-1155 transfers, one row an item of a batch; alone, by filtered eth_getLogs."),
        part(EthereumTables.withdrawals),
    ]

    private static func part(_ schema: Schema) -> Register {
        Register(
            name: schema.name, kind: .pipe, doc: schema.doc, schemas: [schema], dependencies: ["geth_block"], needs: [Need(schema.name)],
            makePipe: { TablePipe(schemas: [schema]) })
    }

    private static func transfers(_ standard: TransferPipe.Standard, _ doc: String) -> Register {
        Register(
            name: standard.schema.name, kind: .pipe, doc: doc, schemas: [standard.schema], dependencies: ["geth_block"],
            needs: [Need(EthereumTables.logs.name, topics: standard.topics)], makePipe: { TransferPipe(standard) })
    }
}
