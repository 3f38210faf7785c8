import SluiceCore

/// A seeded chain that grows and reorganises. It holds the hash of every canonical block and the text of recent ones; older ones
/// are made again when asked for.
final class GeneratedChain: SimulatedChain {
    private struct Link {
        var fork: UInt32
        var hash: Hash32
    }

    /// A block in memory, its texts rendered as they are asked for.
    private final class Held {
        let block: GeneratedBlock
        var texts: [BlockPart: SharedText] = [:]
        var index: ReceiptIndex?
        init(_ block: GeneratedBlock) { self.block = block }
    }

    let chainID: UInt64
    let first: UInt64
    private(set) var finalized: UInt64
    private let options: GeneratorOptions
    private let generator: BlockGenerator
    private let renderer: BlockRenderer
    private let start: MonotonicTime
    /// The canonical chain from `first` on.
    private var links: [Link] = []
    private var orphans: [Hash32: (key: BlockKey, parent: Hash32)] = [:]
    private var orphanOrder: [Hash32] = []
    private var held: [BlockKey: Held] = [:]
    private var heldOrder: [BlockKey] = []
    private var lastFork: UInt32 = 0
    private var grown = 0
    private(set) var steps = 0
    private var random: SeededRandom
    /// What accounts have on the canonical chain, as far as anybody asked.
    private var ledger: Ledger

    init(_ options: GeneratorOptions, start: MonotonicTime) {
        self.options = options
        self.start = start
        chainID = options.chainID
        first = options.first
        finalized = options.first
        generator = BlockGenerator(options)
        renderer = BlockRenderer(chainID: options.chainID)
        ledger = Ledger(funded: generator.accounts, first: options.first)
        random = SeededRandom(seed: options.seed ^ 0x5E0_26A5)
        extend(by: max(1, options.history), fork: 0)
        for _ in 0..<max(0, options.resume) { step() }
    }

    var head: UInt64 { first + UInt64(links.count - 1) }
    var safe: UInt64 { max(first, head - min(head, options.safeDepth)) }

    func catchUp(to now: MonotonicTime) {
        guard let blockTime = options.blockTime, blockTime > .zero else { return }
        let due = Int((now - start) / blockTime)
        while grown < due, head < options.until ?? .max {
            grown += 1
            step()
        }
    }

    func advance(_ count: Int) throws {
        for _ in 0..<max(0, count) { step() }
    }

    func reorganise(depth: Int, length: Int) throws {
        guard depth >= 0, length >= 0, depth < links.count, depth > 0 || length > 0 else {
            throw SluiceError(
                .simulatorCommand, .config, "reorganising \(depth) of \(links.count) blocks into \(length) is not possible",
                mend: "keep the first block and change something")
        }
        for link in links.suffix(depth).enumerated() { remember(orphan: link.element, at: links.count - depth + link.offset) }
        links.removeLast(depth)
        ledger.rollback(to: head)
        lastFork += 1
        extend(by: length, fork: lastFork)
    }

    /// One block more; with rhythm a reorganisation that makes the chain one block longer.
    private func step() {
        steps += 1
        let limit = Int(min(head - finalized, options.finalizedDepth))
        let wanted = Int.random(in: options.reorgDepth, using: &random)
        let depth = min(wanted, limit)
        if let every = options.reorgEvery, every > 0, Int.random(in: 0..<every, using: &random) == 0, depth > 0 {
            // Never deeper than what was called final, so this cannot be refused.
            try? reorganise(depth: depth, length: depth + 1)
        } else {
            extend(by: 1, fork: links.last?.fork ?? 0)
        }
    }

    private func extend(by count: Int, fork: UInt32) {
        for _ in 0..<count {
            let key = BlockKey(number: first + UInt64(links.count), fork: fork)
            let parent = links.last?.hash ?? .zero
            let block = generator.block(key, parent: parent)
            links.append(Link(fork: fork, hash: block.hash))
            hold(block, key)
        }
        finalized = max(finalized, max(first, head - min(head, options.finalizedDepth)))
    }

    // MARK: look-ups

    func key(of number: UInt64) -> BlockKey? {
        guard number >= first, number <= head else { return nil }
        return BlockKey(number: number, fork: links[Int(number - first)].fork)
    }

    func key(of hash: Hash32) -> BlockKey? {
        if let orphan = orphans[hash] { return orphan.key }
        return links.lastIndex { $0.hash == hash }.map { BlockKey(number: first + UInt64($0), fork: links[$0].fork) }
    }

    func hash(of key: BlockKey) throws -> Hash32 { try found(key).block.hash }

    func text(_ part: BlockPart, of key: BlockKey) throws -> SharedText? {
        let held = try found(key)
        if let text = held.texts[part] { return text }
        let text =
            switch part {
            case .block: SharedText(renderer.block(held.block, fullTransactions: true))
            case .hashes: SharedText(renderer.block(held.block, fullTransactions: false))
            case .receipts: SharedText(renderer.receipts(held.block))
            }
        held.texts[part] = text
        return text
    }

    func index(of key: BlockKey) throws -> ReceiptIndex? {
        guard let text = try text(.receipts, of: key) else { return nil }
        let held = try found(key)
        if let index = held.index { return index }
        let index = try ReceiptIndex(scanning: text.bytes)
        held.index = index
        return index
    }

    func place(ofTransaction hash: String) throws -> (key: BlockKey, index: Int)? {
        guard let bytes = Hex.bytes(hash), let place = TransactionPlace(hash: bytes, seed: options.seed) else { return nil }
        // Transactions of orphans are gone with them.
        guard key(of: place.key.number) == place.key else { return nil }
        return (place.key, place.index)
    }

    // MARK: balances

    func balance(of account: [UInt8], at key: BlockKey) throws -> UInt256? {
        let place = Int(key.number - first)
        if place < links.count, links[place].fork == key.fork {
            while ledger.next <= key.number {
                let next = BlockKey(number: ledger.next, fork: links[Int(ledger.next - first)].fork)
                ledger.take(try held[next]?.block ?? generator.block(next, parent: parent(of: next)))
            }
            return ledger.balance(of: account, at: key.number)
        }
        // An orphan: what its own branch moved since it left the chain.
        guard let below = self.key(of: try parent(of: key)), let before = try balance(of: account, at: below) else { return nil }
        return before.addingReportingOverflow(try found(key).block.moves[account] ?? .zero).partialValue
    }

    // MARK: memory

    private func found(_ key: BlockKey) throws -> Held {
        if let known = held[key] { return known }
        let block = generator.block(key, parent: try parent(of: key))
        return hold(block, key)
    }

    private func parent(of key: BlockKey) throws -> Hash32 {
        let place = Int(key.number - first)
        if place < links.count, links[place].fork == key.fork { return place == 0 ? .zero : links[place - 1].hash }
        guard let orphan = orphans.values.first(where: { $0.key == key }) else {
            throw SluiceError(.simulatorCommand, .data, "block \(key.number) of fork \(key.fork) is forgotten")
        }
        return orphan.parent
    }

    @discardableResult
    private func hold(_ block: GeneratedBlock, _ key: BlockKey) -> Held {
        let made = Held(block)
        held[key] = made
        heldOrder.append(key)
        if heldOrder.count > max(1, options.window) { held[heldOrder.removeFirst()] = nil }
        return made
    }

    private func remember(orphan: Link, at place: Int) {
        let key = BlockKey(number: first + UInt64(place), fork: orphan.fork)
        orphans[orphan.hash] = (key, place == 0 ? .zero : links[place - 1].hash)
        orphanOrder.append(orphan.hash)
        if orphanOrder.count > max(1, options.window) { orphans[orphanOrder.removeFirst()] = nil }
    }
}
