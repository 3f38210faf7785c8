import SluiceChain
import SluiceCore
import SluiceFormats
import SluiceNet
import Synchronization

/// Where a network stands, as one endpoint says.
struct ChainTip: Sendable {
    let head: ChainHead
    let event: ChainFollower.Event

    /// What is asked to find out.
    static var calls: [RPCCall] { [.header("latest"), .header("finalized")] }

    /// Nothing is known.
    static let unknown = ChainTip(head: ChainHead(latest: 0, finalized: 0), event: .head(latest: .init(number: 0), finalized: nil))

    private init(head: ChainHead, event: ChainFollower.Event) {
        self.head = head
        self.event = event
    }

    /// Out of the answers to `calls`. Throws `block_missing` or `inconsistent_block`.
    init(_ answers: ArraySlice<JSONAnswer>, client: RPCClient, endpoint: EndpointID) throws {
        guard let first = answers.first, case .tables(let tables) = first else {
            throw SluiceError(.blockMissing, .endpoint, "eth_getBlockByNumber: the endpoint knows no latest block")
        }
        let latest = BlockSet(header: tables[0], withdrawals: tables[1], byteCount: 0)
        try client.decoder.verify(latest, number: latest.number)
        client.pool.note(height: latest.number, for: endpoint)
        // Not every network has the tag; the depth serves then.
        var finalized: BlockRef?
        if let second = answers.dropFirst().first, case .tables(let tables) = second {
            let set = BlockSet(header: tables[0], withdrawals: tables[1], byteCount: 0)
            if set.number <= latest.number { finalized = set.ref }
        }
        head = ChainHead(
            latest: latest.number, finalized: finalized?.number ?? latest.number - min(latest.number, client.network.finalityDepth))
        event = .head(
            latest: .init(number: latest.number, hash: latest.hash), finalized: finalized.map { .init(number: $0.number, hash: $0.hash) })
    }
}

/// The tip as it was seen last: what begins right after it was asked for need not ask again.
final class TipMemory: Sendable {
    private let kept = Mutex<(tip: ChainTip, at: MonotonicTime)?>(nil)

    func keep(_ tip: ChainTip, at now: MonotonicTime) { kept.withLock { $0 = (tip, now) } }

    /// What was seen within the last second.
    func recent(at now: MonotonicTime) -> ChainTip? {
        kept.withLock { kept in kept.flatMap { now - $0.at < .seconds(1) ? $0.tip : nil } }
    }
}
