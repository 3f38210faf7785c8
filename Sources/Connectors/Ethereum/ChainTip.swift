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

    /// Out of the answers to `calls`. Throws `block_missing` or `inconsistent_block`, or what the pool must act on.
    init(_ answers: ArraySlice<JSONAnswer>, client: RPCClient, tips: TipMemory, endpoint: EndpointID) throws {
        guard let first = answers.first, case .tables(let tables) = first, let second = answers.dropFirst().first else {
            throw SluiceError(.blockMissing, .endpoint, "eth_getBlockByNumber: the endpoint knows no latest block")
        }
        let latest = BlockSet(header: tables[0], withdrawals: tables[1], byteCount: 0)
        try client.decoder.verify(latest, number: latest.number)
        client.pool.note(height: latest.number, for: endpoint)
        let finalized = try Self.finalized(second, latest: latest.number, client: client, tips: tips)
        head = ChainHead(
            latest: latest.number, finalized: finalized?.number ?? latest.number - min(latest.number, client.network.finalityDepth))
        event = .head(
            latest: .init(number: latest.number, hash: latest.hash), finalized: finalized.map { .init(number: $0.number, hash: $0.hash) })
    }

    /// What the endpoint calls final. Not every network has the tag: then the depth serves; but a tag that was seen once is not
    /// forgotten because one answer lacks it.
    private static func finalized(_ answer: JSONAnswer, latest: UInt64, client: RPCClient, tips: TipMemory) throws -> BlockRef? {
        switch answer {
        case .tables(let tables):
            let set = BlockSet(header: tables[0], withdrawals: tables[1], byteCount: 0)
            try client.decoder.verify(set, number: set.number)
            // A lagging node behind a balancer may answer one of the two.
            guard set.number <= latest else { break }
            return tips.noteFinal(set.ref)
        case .error(let code, let message):
            if let limited = RPCFault.error(.header("finalized"), code: code, message: message) as? RateLimited { throw limited }
        case .unanswered:
            throw SluiceError(.malformedReply, .endpoint, "eth_getBlockByNumber: the reply leaves out what is final")
        case .null, .value: break
        }
        return tips.highestFinal.flatMap { $0.number <= latest ? $0 : nil }
    }
}

/// What was learned about the tip: the last answer, because what begins right after it need not ask again, and the highest block that
/// was ever called final.
final class TipMemory: Sendable {
    private let kept = Mutex<(tip: ChainTip, at: MonotonicTime)?>(nil)
    private let final = Mutex<BlockRef?>(nil)
    private let answered = Mutex<Duration?>(nil)

    func keep(_ tip: ChainTip, at now: MonotonicTime) { kept.withLock { $0 = (tip, now) } }

    /// What was seen within the last second.
    func recent(at now: MonotonicTime) -> ChainTip? {
        kept.withLock { kept in kept.flatMap { now - $0.at < .seconds(1) ? $0.tip : nil } }
    }

    /// The least time that an answer about the tip took; nil before the first.
    var latency: Duration? { answered.withLock { $0 } }

    func note(latency: Duration) { answered.withLock { $0 = min($0 ?? latency, latency) } }

    var highestFinal: BlockRef? { final.withLock { $0 } }

    /// Takes note of a block that was called final, and returns the highest.
    func noteFinal(_ ref: BlockRef) -> BlockRef {
        final.withLock { block in
            let highest = block.flatMap { $0.number > ref.number ? $0 : nil } ?? ref
            block = highest
            return highest
        }
    }
}
