import SluiceChain
public import SluiceCore
import SluiceFormats
import SluiceNet
import SluiceTelemetry

/// Reads blocks of one network over Ethereum JSON-RPC: a bounded range, or everything from a position on, following
/// reorganisations. It fetches what the registers downstream need, and nothing else.
public struct GethBlockOracle: Oracle {
    /// Blocks of one batch while catching up. Batches end where the next block's number is a multiple of it, whoever asks. A block
    /// with its receipts has rows enough of its own, and its columns then pass on without a copy; what is small goes in company.
    let blocksPerBatch: UInt64

    let network: EthereumNetwork
    let fetcher: BlockFetcher
    let recent: any RecentBlocks
    let time: TimeSource
    let log: Log
    let observe: @Sendable (OracleEvent) -> Void
    private let check: EndpointCheck
    private let reader: RangeReader
    private let tips: TipMemory

    /// - Parameters:
    ///   - needs: what the registers downstream ask for.
    ///   - recent: remembers blocks that may still be orphaned.
    ///   - observe: told about heads, reorganisations and bytes.
    public init(
        node: EthereumNode, needs: [Need], recent: any RecentBlocks, observe: @escaping @Sendable (OracleEvent) -> Void = { _ in }
    ) {
        network = node.network
        self.recent = recent
        time = node.time
        log = node.log
        self.observe = observe
        let decoder = BlockDecoder(
            chainID: network.chainID, plan: FetchPlan(needs: needs), verifiesHeaderHash: network.verifiesHeaderHash)
        let client = RPCClient(network: network, http: node.http, pool: node.pool, decoder: decoder, observe: observe)
        fetcher = BlockFetcher(client: client, node: node)
        blocksPerBatch = decoder.plan.receipts ? 1 : 32
        tips = node.tips
        check = EndpointCheck(client: client, node: node)
        reader = RangeReader(fetcher: fetcher, memoryBudget: network.memoryBudget, time: time)
    }

    public func head() async throws -> ChainHead {
        try await tip().head
    }

    public func settle(_ position: Position, finalized: UInt64?) async throws -> Position {
        try await check.run()
        guard let link = try await fetcher.header(number: position.number, hash: nil), link.ref != position else { return position }
        var follower = ChainFollower(
            position: position, finalityDepth: network.finalityDepth, finalized: finalized,
            knownTail: try await recent.ancestors(of: position))
        var settled = position
        try await act(on: follower.on(.block(link.ref, parentHash: link.parentHash)), follower: &follower) { settled = $0 }
        return settled
    }

    public func backfill(_ range: ClosedRange<UInt64>, after position: Position?, into egress: any Egress) async throws {
        let tip = try await tip()
        observe(.head(tip.head))
        let before = position.flatMap { $0.number + 1 == range.lowerBound ? $0 : nil }
        var follower = ChainFollower(position: before, start: before == nil ? range.lowerBound : nil, finalityDepth: network.finalityDepth)
        try await egress.send(.finalized(tip.head.finalized))
        // Where the network says what is final, that holds here too, not the depth.
        let highest = follower.head?.number
        try await tell(follower.on(tip.event), before: highest, follower: &follower, into: egress)
        var failures = 0
        while let next = follower.next, next <= range.upperBound {
            if try await advance(&follower, through: range.upperBound, tip: tip, cutsAtTip: false, into: egress) {
                failures = 0
                continue
            }
            failures += 1
            guard failures < network.retry.attempts else {
                throw SluiceError(
                    .blockMissing, .retry, "reading \(network.name): block \(next) does not follow what came before it, at any endpoint",
                    mend: "try again later, or with another endpoint")
            }
            try await time.sleep(.milliseconds(100 * failures))
        }
    }

    public func live(from position: Position?, start: UInt64?, until: UInt64?, into egress: any Egress) async throws {
        var tip = try await tip()
        var known: [BlockRef] = []
        if let position { known = try await recent.ancestors(of: position) }
        var follower = ChainFollower(
            position: position, start: position == nil ? start ?? tip.head.latest : start, finalityDepth: network.finalityDepth,
            finalized: position == nil ? nil : try await recent.finalized(),
            knownTail: known)
        while true {
            observe(.head(tip.head))
            let before = follower.head?.number
            try await tell(follower.on(tip.event), before: before, follower: &follower, into: egress)
            let last = min(until ?? .max, tip.head.latest)
            while let next = follower.next, next <= last {
                if try await !advance(&follower, through: last, tip: tip, cutsAtTip: true, into: egress) { break }
            }
            if let until, let head = follower.head, head.number >= until { return }
            try await time.sleep(network.pollInterval)
            await check.runSometimes()
            tip = try await poll()
        }
    }

    // MARK: - The head

    /// Where the network stands, asked now.
    private func poll() async throws -> ChainTip {
        let tip = try await fetcher.client.call(ChainTip.calls) { reply in
            try ChainTip(reply.answers[...], client: self.fetcher.client, tips: self.tips, endpoint: reply.endpoint)
        }
        tips.keep(tip, at: time.now())
        return tip
    }

    /// Where the network stands, as it was seen a moment ago or asked now.
    private func tip() async throws -> ChainTip {
        try await check.run()
        if let recent = tips.recent(at: time.now()) { return recent }
        return try await poll()
    }

    // MARK: - Following

    /// Reads from the follower's next block through `last` and sends what it accepts. Returns false when it got nowhere: the
    /// upstream does not have the blocks yet, or contradicts itself.
    private func advance(
        _ follower: inout ChainFollower, through last: UInt64, tip: ChainTip, cutsAtTip: Bool, into egress: any Egress
    ) async throws -> Bool {
        guard let first = follower.next, first <= last else { return true }
        let before = follower.head
        var state = Advance(
            follower: follower, chainID: network.chainID, tip: tip.head, cutsAtTip: cutsAtTip, blocksPerBatch: blocksPerBatch,
            finalityDepth: network.finalityDepth)
        if first == last {
            let blocks = try await fetcher.fetch(first...last, atTip: last > tip.head.finalized)
            for block in blocks { _ = try await offer(block, &state, into: egress) }
        } else {
            try await reader.read(first...last, finalized: tip.head.finalized, latency: tips.latency) {
                try await offer($0, &state, into: egress)
            }
        }
        try await state.flush(into: egress, remembering: recent)
        follower = state.follower
        return follower.head != before
    }

    /// Offers one block; returns false when the blocks behind it are of no use: a reorganisation was undone, or the block is not believed.
    private func offer(_ block: DecodedBlock, _ state: inout Advance, into egress: any Egress) async throws -> Bool {
        var accepted = false
        let before = state.follower.head?.number
        var actions = state.follower.on(.block(block.ref, parentHash: block.parentHash))[...]
        while let action = actions.popFirst() {
            switch action {
            case .accept:
                accepted = true
                try await state.accept(block, into: egress, remembering: recent)
            case .finalized(let number): state.finalize(through: number)
            case .ignore(let ref, let reason):
                log.debug("block ignored", ["block": "\(ref.number)", "reason": "\(reason.rawValue)"])
            case .rollback, .fetchHeader, .halt:
                try await state.flush(into: egress, remembering: recent)
                try await tell([action], before: before, follower: &state.follower, into: egress)
            }
        }
        return accepted
    }

    /// Does what the follower says outside of a run of blocks, and sends what of it concerns the rows.
    /// - Parameter before: the head before the follower was told: what a reorganisation is counted from.
    private func tell(
        _ actions: [ChainFollower.Action], before: UInt64?, follower: inout ChainFollower, into egress: any Egress
    ) async throws {
        for action in actions {
            if case .finalized(let number) = action {
                try await egress.send(.finalized(number))
                try await recent.finalize(through: number)
            }
        }
        var target: Position?
        try await act(on: actions, follower: &follower) { target = $0 }
        guard let target else { return }
        let depth = Int((before ?? target.number) - min(before ?? target.number, target.number))
        log.info("reorganisation", ["network": "\(network.name)", "depth": "\(depth)", "to": "\(target.number)"])
        observe(.reorganisation(depth: depth))
        try await egress.send(.rollback(to: target))
    }

    /// Fetches the headers that the follower asks for until it knows where to go on.
    private func act(
        on actions: [ChainFollower.Action], follower: inout ChainFollower, rollback: (Position) async throws -> Void
    ) async throws {
        var actions = actions[...]
        while let action = actions.popFirst() {
            switch action {
            case .fetchHeader(let number, let hash):
                let link = try await fetcher.header(number: number, hash: hash)
                actions += follower.on(link.map { .header($0.ref, parentHash: $0.parentHash) } ?? .headerUnavailable(number: number))
            case .rollback(let position): try await rollback(position)
            case .halt(let reorg): throw reorg.error
            case .accept, .finalized, .ignore: break
            }
        }
    }
}
