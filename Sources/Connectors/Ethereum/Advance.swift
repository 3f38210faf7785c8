import SluiceChain
import SluiceCore

/// Accepted blocks on their way into batches: cut at fixed block numbers while catching up, block by block at the tip.
struct Advance {
    var follower: ChainFollower
    let chainID: UInt64
    let tip: ChainHead
    /// Whether every block near the head is a batch of its own.
    let cutsAtTip: Bool
    let blocksPerBatch: UInt64
    let finalityDepth: UInt64
    private var gathered: [DecodedBlock] = []
    private var finalized: UInt64?

    init(follower: ChainFollower, chainID: UInt64, tip: ChainHead, cutsAtTip: Bool, blocksPerBatch: UInt64, finalityDepth: UInt64) {
        self.follower = follower
        self.chainID = chainID
        self.tip = tip
        self.cutsAtTip = cutsAtTip
        self.blocksPerBatch = blocksPerBatch
        self.finalityDepth = finalityDepth
    }

    /// Takes a block; sends a batch when it is full.
    mutating func accept(_ block: DecodedBlock, into egress: any Egress, remembering recent: any RecentBlocks) async throws {
        gathered.append(block)
        let number = block.ref.number
        let atTip = cutsAtTip && number > tip.finalized && number + finalityDepth > tip.latest
        if atTip || (number + 1).isMultiple(of: blocksPerBatch) { try await flush(into: egress, remembering: recent) }
    }

    /// Notes finality; it is sent behind the blocks that it speaks of, not between them.
    mutating func finalize(through number: UInt64) { finalized = number }

    /// Sends what was gathered, and how far the chain is final. Blocks that may still be orphaned are remembered first.
    mutating func flush(into egress: any Egress, remembering recent: any RecentBlocks) async throws {
        let blocks = gathered
        gathered = []
        let open = blocks.filter { $0.ref.number > tip.finalized }
        if !open.isEmpty { try await recent.remember(open.map { BlockLink(ref: $0.ref, parentHash: $0.parentHash) }) }
        if let batch = DecodedBlock.batch(blocks, chainID: chainID) { try await egress.send(.batch(batch)) }
        guard let finalized else { return }
        self.finalized = nil
        try await egress.send(.finalized(finalized))
        // Nothing was remembered of blocks that were final when they were read.
        if !open.isEmpty { try await recent.finalize(through: finalized) }
    }
}
