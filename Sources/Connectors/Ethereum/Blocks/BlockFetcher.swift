import SluiceChain
import SluiceCore
import SluiceFormats
import SluiceNet
import Synchronization

/// Fetches blocks: asks for what the plan needs, checks every block, and asks again elsewhere for what is missing or wrong.
final class BlockFetcher: Sendable {
    /// What was learned about the blocks while working.
    private struct Learned {
        /// Moving average of the JSON of one block. To begin with a busy block is assumed: a first request that is too small costs
        /// nothing, one that is too large makes all others wait.
        var bytesPerBlock: Double
    }

    let client: RPCClient
    private var plan: FetchPlan { client.decoder.plan }
    private let node: EthereumNode
    private let learned: Mutex<Learned>
    /// JSON that one request should bring: large enough to make requests rare, small enough that a few in flight fit the memory.
    private let bytesPerRequest = 1 << 20

    init(client: RPCClient, node: EthereumNode) {
        self.client = client
        self.node = node
        learned = Mutex(Learned(bytesPerBlock: client.decoder.plan.receipts ? 512 * 1024 : 64 * 1024))
    }

    /// JSON of one block, as it was lately.
    var bytesPerBlock: Double { learned.withLock { $0.bytesPerBlock } }

    /// How many blocks to ask for in one go.
    var blocksPerFetch: Int {
        let (bytes, logRange) = (bytesPerBlock, node.lore.withLock { $0.logRange })
        let most = max(1, Int(Double(bytesPerRequest) / bytes))
        if plan.logFilter != nil { return max(1, min(logRange, most)) }
        let calls = plan.receipts ? 2 : 1
        return max(1, min(most, 64, client.pool.suggestedBatch / calls))
    }

    /// The blocks of a range, checked, in order. Throws what the pool throws when no endpoint could give one of them.
    /// - Parameter atTip: the newest blocks: lagging nodes may not have them yet, and logs are asked for by hash.
    func fetch(_ range: ClosedRange<UInt64>, atTip: Bool = false) async throws -> [DecodedBlock] {
        let blocks: [DecodedBlock]
        if let filter = plan.logFilter {
            blocks = try await fetchLogs(range, filter: filter, byHash: atTip)
        } else if plan.receipts {
            blocks = try await fetchWithReceipts(range)
        } else {
            blocks = try await fetchHeaders(range).map { try client.decoder.decode($0, number: $0.number) }
        }
        let average = Double(blocks.reduce(0) { $0 + $1.byteCount }) / Double(max(1, blocks.count))
        learned.withLock { $0.bytesPerBlock += (average - $0.bytesPerBlock) / 8 }
        return blocks
    }

    /// A header alone: by hash when one is given. Nil when no endpoint knows it.
    func header(number: UInt64, hash: Hash32?) async throws -> BlockLink? {
        let call = hash.map { RPCCall.header(hash: $0) } ?? .header(number)
        return try await client.call([call]) { reply in
            guard case .tables(let tables) = reply.answers[0] else { return nil }
            let set = BlockSet(header: tables[0], withdrawals: tables[1], byteCount: reply.byteCount)
            try self.client.decoder.verify(set, number: number)
            if let hash, set.hash != hash { return nil }
            return BlockLink(ref: set.ref, parentHash: set.parentHash)
        }
    }

    // MARK: - Whole blocks

    private func fetchWithReceipts(_ range: ClosedRange<UInt64>) async throws -> [DecodedBlock] {
        if client.pool.suggestedBatch < 2 || !node.lore.withLock({ $0.hasBlockReceipts }) {
            var blocks: [DecodedBlock] = []
            for number in range { blocks.append(try await fetchInSteps(number)) }
            return blocks
        }
        var found: [UInt64: DecodedBlock] = [:]
        while found.count < range.count {
            let missing = range.filter { found[$0] == nil }
            let calls = missing.flatMap { [RPCCall.block($0), .receipts($0)] }
            do {
                let new = try await client.pool.withEndpoint(demand(calls, height: missing.last)) { lease in
                    // A batch that was cut in the middle of a block would bring a block without receipts.
                    let whole = Array(calls.prefix(max(2, lease.calls & ~1)))
                    guard lease.calls > 1 else { throw LeaseUnused() }
                    let reply = try await client.send(whole, lease: lease)
                    return try take(reply, missing: missing, calls: whole)
                }
                if new.isEmpty {
                    for number in missing { found[number] = try await fetchInSteps(number) }
                }
                for block in new { found[block.ref.number] = block }
            } catch let error as SluiceError where error.class == .split && missing.count > 1 {
                let middle = missing[missing.count / 2]
                for block in try await fetchWithReceipts(missing[0]...(middle - 1)) + fetchWithReceipts(middle...missing[missing.count - 1])
                {
                    found[block.ref.number] = block
                }
            } catch is LeaseUnused {
                for number in missing { found[number] = try await fetchInSteps(number) }
            } catch let error as SluiceError where error.class == .split {
                for number in missing { found[number] = try await fetchInSteps(number) }
            }
        }
        return range.compactMap { found[$0] }
    }

    /// The blocks of a reply that came whole; throws when there is none, so that the pool tries elsewhere.
    private func take(_ reply: RPCClient.Reply, missing: [UInt64], calls: [RPCCall]) throws -> [DecodedBlock] {
        var blocks: [DecodedBlock] = []
        var fault: (any Error)?
        let share = reply.byteCount / max(1, reply.answers.count / 2)
        for (index, number) in missing.enumerated() where index * 2 + 1 < reply.answers.count {
            do {
                let block = try tables(reply.answers[index * 2], calls[index * 2], number)
                let receipts = try tables(reply.answers[index * 2 + 1], calls[index * 2 + 1], number)
                blocks.append(try client.decoder.decode(BlockDecoder.set(block, receipts: receipts, byteCount: share), number: number))
            } catch let error as SluiceError where error.code == .methodUnsupported {
                node.lore.withLock { $0.hasBlockReceipts = false }
                return []
            } catch { fault = fault ?? error }
        }
        if blocks.isEmpty, let fault { throw fault }
        return blocks
    }

    private func tables(_ answer: JSONAnswer, _ call: RPCCall, _ number: UInt64) throws -> [JSONTable] {
        switch answer {
        case .tables(let tables): return tables
        case .null, .unanswered:
            throw SluiceError(
                .blockMissing, .endpoint, "\(call.method): the endpoint has no block \(number)", mend: "it may lag behind the others")
        case .error(let code, let message): throw RPCFault.error(call, code: code, message: message)
        case .value:
            throw SluiceError(.malformedReply, .endpoint, "\(call.method): a single value came where block \(number) was asked for")
        }
    }

    // MARK: - One call a request

    /// One block by single calls: an endpoint without batches, or without `eth_getBlockReceipts`. What contradicts itself is read anew.
    private func fetchInSteps(_ number: UInt64) async throws -> DecodedBlock {
        var failures = 0
        while true {
            // Others learn at the same time: what counts is what this attempt asked for.
            let asksForAll = node.lore.withLock { $0.hasBlockReceipts }
            do {
                if asksForAll {
                    async let block = one(.block(number), number)
                    async let receipts = one(.receipts(number), number)
                    let (first, second) = try await (block, receipts)
                    return try client.decoder.decode(
                        BlockDecoder.set(first.0, receipts: second.0, byteCount: first.1 + second.1), number: number)
                }
                return try await fetchWithSingleReceipts(number)
            } catch let error as SluiceError where error.code == .methodUnsupported {
                guard asksForAll else { throw error }
                node.lore.withLock { $0.hasBlockReceipts = false }
            } catch let error as SluiceError where error.code == .inconsistentBlock {
                // The parts may come from nodes that see different branches; a moment later they agree.
                failures += 1
                guard failures < client.network.retry.attempts else { throw error }
            }
        }
    }

    private func one(_ call: RPCCall, _ number: UInt64) async throws -> ([JSONTable], Int) {
        try await client.pool.withEndpoint(demand([call], height: number)) { lease in
            do {
                let reply = try await client.send([call], lease: lease)
                return (try tables(reply.answers[0], call, number), reply.byteCount)
            } catch let error as SluiceError where error.code == .methodUnsupported {
                // No endpoint gets better at this by being asked again: the caller takes another way.
                throw SluiceError(.methodUnsupported, .config, error.message)
            }
        }
    }

    private func fetchWithSingleReceipts(_ number: UInt64) async throws -> DecodedBlock {
        let (block, bytes) = try await one(.block(number), number)
        let hashes = (0..<block[2].rowCount).map { block[2].column("hash").load($0, as: Hash32.self) }
        let calls = hashes.map { RPCCall.receipt(transaction: $0) }
        var parts = [[JSONTable]?](repeating: nil, count: calls.count)
        var total = bytes
        while parts.contains(where: { $0 == nil }) {
            let open = parts.indices.filter { parts[$0] == nil }
            let asked = open.map { calls[$0] }
            let (answers, size) = try await client.splitting { canSplit in
                try await client.pool.withEndpoint(demand(asked, height: number)) { lease in
                    canSplit = lease.calls > 1
                    let reply = try await client.send(asked, lease: lease)
                    let tables = try zip(reply.answers, asked).map { try self.tables($0, $1, number) }
                    return (tables, reply.byteCount)
                }
            }
            for (index, tables) in zip(open, answers) { parts[index] = tables }
            total += size
        }
        let joined = BlockDecoder.receiptsCall.plans.indices.map { place in
            JSONTable.concatenated(parts.compactMap { $0?[place] }, parents: place == 1)
        }
        let receipts = joined[0] ?? JSONTable.empty(BlockPlans.receipt)
        let logs = joined[1] ?? JSONTable.empty(BlockPlans.log)
        return try client.decoder.decode(BlockDecoder.set(block, receipts: [receipts, logs], byteCount: total), number: number)
    }

    // MARK: - Headers and logs

    private func fetchHeaders(_ range: ClosedRange<UInt64>) async throws -> [BlockSet] {
        var found: [UInt64: BlockSet] = [:]
        while found.count < range.count {
            let missing = range.filter { found[$0] == nil }
            let calls = missing.map { RPCCall.header($0) }
            let new = try await client.splitting { canSplit in
                try await client.pool.withEndpoint(demand(calls, height: missing.last)) { lease in
                    canSplit = lease.calls > 1
                    let reply = try await client.send(calls, lease: lease)
                    return try headers(reply, calls: calls, missing: missing)
                }
            }
            for set in new { found[set.number] = set }
        }
        return range.compactMap { found[$0] }
    }

    private func headers(_ reply: RPCClient.Reply, calls: [RPCCall], missing: [UInt64]) throws -> [BlockSet] {
        var sets: [BlockSet] = []
        var fault: (any Error)?
        for (index, answer) in reply.answers.enumerated() {
            do {
                let tables = try tables(answer, calls[index], missing[index])
                let set = BlockSet(header: tables[0], withdrawals: tables[1], byteCount: reply.byteCount / reply.answers.count)
                try client.decoder.verify(set, number: missing[index])
                sets.append(set)
            } catch { fault = fault ?? error }
        }
        if sets.isEmpty, let fault { throw fault }
        return sets
    }

    private func fetchLogs(_ range: ClosedRange<UInt64>, filter: LogFilter, byHash: Bool) async throws -> [DecodedBlock] {
        let headers = try await fetchHeaders(range)
        do {
            let calls = byHash ? headers.map { RPCCall.logs(blockHash: $0.hash, filter: filter) } : [.logs(range, filter: filter)]
            var blocks: [DecodedBlock] = []
            for (index, call) in calls.enumerated() {
                let sets = byHash ? [headers[index]] : headers
                blocks += try await client.pool.withEndpoint(demand([call], height: range.upperBound)) { lease in
                    let reply = try await client.send([call], lease: lease)
                    let logs = try tables(reply.answers[0], call, range.upperBound)[0]
                    return try split(logs, among: sets, complete: filter.isOpen, byteCount: reply.byteCount)
                }
            }
            node.lore.withLock { if $0.logRange < FetchPlan.logRange { $0.logRange += 1 } }
            return blocks
        } catch let error as SluiceError where error.class == .split && range.count > 1 {
            // Too many results: ask for half, now and from now on.
            node.lore.withLock { $0.logRange = max(1, range.count / 2) }
            let middle = range.lowerBound + UInt64(range.count / 2)
            return try await fetchLogs(range.lowerBound...(middle - 1), filter: filter, byHash: byHash)
                + fetchLogs(middle...range.upperBound, filter: filter, byHash: byHash)
        }
    }

    /// Gives every block its logs; they must come in the order of the blocks, and belong to one of them.
    private func split(_ logs: JSONTable, among headers: [BlockSet], complete: Bool, byteCount: Int) throws -> [DecodedBlock] {
        let numbers = logs.column("block_number")
        var row = 0
        let share = byteCount / max(1, headers.count)
        let blocks = try headers.map { header in
            let first = row
            while row < logs.rowCount, numbers.load(row, as: Int64.self) == Int64(clamping: header.number) { row += 1 }
            let set = header.with(receipts: nil, logs: logs.slice(first..<row), logsAreComplete: complete, byteCount: share)
            return try client.decoder.decode(set, number: header.number)
        }
        guard row == logs.rowCount else {
            throw SluiceError(
                .inconsistentBlock, .endpoint,
                "eth_getLogs: log \(row) is of block \(numbers.load(row, as: Int64.self)), out of order or not among those asked for")
        }
        return blocks
    }

    private func demand(_ calls: [RPCCall], height: UInt64?) -> Demand {
        var demand = Demand()
        demand.calls = calls.count
        demand.units = calls.reduce(0) { $0 + $1.units }
        demand.minimumHeight = height
        return demand
    }
}
