import SluiceCore

/// Makes the rows of token transfers out of logs.
///
/// A log is a transfer when its first topic is the event's and the arguments stand where the standard puts them. Logs with that
/// topic but another shape (early tokens that do not index, contracts that only look like tokens) are no transfers; they stay in `logs`.
struct TransferPipe: Pipe {
    enum Standard: Sendable {
        case erc20, erc721, erc1155

        var schema: Schema {
            switch self {
            case .erc20: TransferTables.erc20
            case .erc721: TransferTables.erc721
            case .erc1155: TransferTables.erc1155
            }
        }

        /// The first topics of its events.
        var topics: [Hash32] {
            switch self {
            case .erc20, .erc721: [TransferTopics.transfer]
            case .erc1155: [TransferTopics.transferSingle, TransferTopics.transferBatch]
            }
        }
    }

    let standard: Standard
    var schemas: [Schema] { [standard.schema] }

    init(_ standard: Standard) { self.standard = standard }

    mutating func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
        guard let logs = batch.table(EthereumTables.logs.name) else {
            throw SluiceError(.missingTable, .fatal, "blocks \(batch.span.first)...\(batch.span.last.number) came without the table logs")
        }
        var rows = TransferRows(standard.schema, logs: logs)
        for row in 0..<logs.rowCount {
            switch standard {
            case .erc20: rows.appendERC20(row)
            case .erc721: rows.appendERC721(row)
            case .erc1155: rows.appendERC1155(row)
            }
        }
        return [rows.finish()]
    }
}

/// keccak-256 of the events' signatures, from the standards (EIP-20, EIP-721, EIP-1155).
enum TransferTopics {
    /// `Transfer(address,address,uint256)`
    static let transfer = topic("0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef")
    /// `TransferSingle(address,address,address,uint256,uint256)`
    static let transferSingle = topic("0xc3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62")
    /// `TransferBatch(address,address,address,uint256[],uint256[])`
    static let transferBatch = topic("0x4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb")

    private static func topic(_ text: String) -> Hash32 { Hash32(hex: text) ?? .zero }
}
