public import SluiceCore
import SluiceFormats

/// Turns replies into checked tables: the one place where the bytes of a block are looked at.
public struct BlockDecoder: Sendable {
    private let reader = JSONReader()
    private let assembler: BlockAssembler
    private let check: BlockCheck
    /// What it expects in the replies.
    public let plan: FetchPlan

    /// - Parameter verifiesHeaderHash: whether hashes and blooms are computed anew and compared.
    public init(chainID: UInt64, plan: FetchPlan, verifiesHeaderHash: Bool) {
        self.plan = plan
        assembler = BlockAssembler(chainID: Int64(clamping: chainID), wanted: plan.tables)
        check = BlockCheck(verifiesHeaderHash: verifiesHeaderHash)
    }

    static let headerCall = JSONCall([BlockPlans.header, BlockPlans.withdrawal], shape: .object)
    static let blockCall = JSONCall([BlockPlans.block, BlockPlans.withdrawal, BlockPlans.transaction], shape: .object)
    static let receiptsCall = JSONCall([BlockPlans.receipt, BlockPlans.log], shape: .array)
    /// The receipt of one transaction.
    static let receiptCall = JSONCall([BlockPlans.receipt, BlockPlans.log], shape: .object)
    static let logsCall = JSONCall([BlockPlans.log], shape: .array)
    static let valueCall = JSONCall([])

    /// Reads a reply. Throws `malformed_reply` (class `endpoint`).
    func read(_ body: Buffer, firstID: Int64, calls: [JSONCall]) throws(SluiceError) -> [JSONAnswer] {
        try reader.read(body, firstID: firstID, calls: calls)
    }

    /// Checks a block. Throws `inconsistent_block` (class `endpoint`).
    func verify(_ set: BlockSet, number: UInt64) throws(SluiceError) { try check.verify(set, number: number) }

    /// Checks a block and makes its tables. Throws `inconsistent_block` (class `endpoint`).
    func decode(_ set: BlockSet, number: UInt64) throws(SluiceError) -> DecodedBlock {
        try check.verify(set, number: number)
        return DecodedBlock(
            ref: set.ref, parentHash: set.parentHash, timestamp: UInt64(clamping: set.timestamp / 1_000_000),
            tables: assembler.tables(of: set), byteCount: set.byteCount)
    }

    /// Decodes one reply that answers a batch of two calls, a block with its transactions and its receipts. For benches and tests.
    /// Throws `malformed_reply`, `inconsistent_block`, or the upstream's error.
    public func decodeBlock(_ body: Buffer, number: UInt64) throws(SluiceError) -> DecodedBlock {
        let answers = try read(body, firstID: 1, calls: [Self.blockCall, Self.receiptsCall])
        guard case .tables(let block) = answers[0], case .tables(let receipts) = answers[1] else {
            throw SluiceError(.malformedReply, .endpoint, "reading block \(number): the reply holds no block with receipts")
        }
        return try decode(Self.set(block, receipts: receipts, byteCount: body.count), number: number)
    }

    /// A block with its transactions and receipts out of their tables.
    static func set(_ block: [JSONTable], receipts: [JSONTable], byteCount: Int) -> BlockSet {
        BlockSet(
            header: block[0], withdrawals: block[1], transactions: block[2], receipts: receipts[0], logs: receipts[1],
            logsAreComplete: true, byteCount: byteCount)
    }
}
