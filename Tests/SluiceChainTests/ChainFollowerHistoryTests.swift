import SluiceChain
import SluiceCore
import Testing

/// A chain that forks at random, a driver that polls it badly, and a consumer that only believes the actions.
private struct History {
    private let depth: UInt64
    private let start: UInt64
    private var random: SeededRandom
    private var parents: [Hash32: Hash32] = [:]
    private var canonical: [BlockRef] = []
    private var abandoned: [[BlockRef]] = []
    private var highest: UInt64 = 0
    private var made: UInt64 = 0

    private var follower: ChainFollower
    private var consumed: [BlockRef] = []
    private var asked: (number: UInt64, hash: Hash32?)?
    private var final: UInt64?
    private var persistedFinal: UInt64?
    private(set) var rollbacks = 0
    private(set) var deepest = 0
    /// What went wrong, in words; empty when nothing did.
    private(set) var faults: [String] = []

    init(seed: UInt64) {
        random = SeededRandom(seed: seed)
        depth = 1 + random.next() % 12
        start = random.next() % 4
        follower = ChainFollower(position: nil, start: start, finalityDepth: depth)
        for _ in 0...start + 2 { extend() }
    }

    private mutating func chance(_ percent: UInt64) -> Bool { random.next() % 100 < percent }
    private var top: UInt64 { UInt64(canonical.count) - 1 }

    mutating func run(steps: Int) {
        for _ in 0..<steps {
            switch random.next() % 100 {
            case 0..<22: extend()
            case 22..<30: fork()
            case 30..<40: poll()
            case 40..<43: restart()
            default: drive(reliable: false)
            }
        }
        // Quiet at last: the chain outgrows all that was ever seen, and the driver catches up.
        while top <= highest { extend() }
        for _ in 0..<40 {
            perform(follower.on(.head(latest: .init(number: top, hash: canonical[Int(top)].hash), finalized: nil)))
            var patience = 500
            while patience > 0, asked != nil || (follower.next ?? 0) <= top {
                drive(reliable: true)
                patience -= 1
            }
        }
        if consumed != Array(canonical[Int(start)...]) { faults.append("the consumer's chain is not the canonical one") }
    }

    // MARK: the chain

    private mutating func extend() {
        made += 1
        let parent = canonical.last?.hash ?? .zero
        let block = BlockRef(number: UInt64(canonical.count), hash: madeHash(made, 0xAA))
        parents[block.hash] = parent
        canonical.append(block)
    }

    private mutating func fork() {
        highest = max(highest, top)
        let floor = highest - min(highest, depth)
        guard top > floor else { return }
        // Back to a branch that was left, now and then, if that is within finality.
        if chance(30), let old = abandoned.randomElement(using: &random), old.count > Int(floor) + 1,
            old[...Int(floor)] == canonical[...Int(floor)]
        {
            abandoned.append(canonical)
            canonical = old
            return
        }
        abandoned.append(canonical)
        if abandoned.count > 6 { abandoned.removeFirst() }
        let ancestor = floor + random.next() % (top - floor)
        canonical.removeSubrange((Int(ancestor) + 1)...)
        for _ in 0..<random.next() % (depth + 3) { extend() }
    }

    // MARK: the driver

    private mutating func poll() {
        highest = max(highest, top)
        let at = chance(15) ? random.next() % (top + 1) : top
        let safe = highest - min(highest, depth)
        let tag: ChainFollower.Mark? =
            switch random.next() % 5 {
            case 0: nil
            case 1: .init(number: top + 1 + random.next() % 50)
            case 2: .init(number: random.next() % (safe + 1))
            case 3: .init(number: random.next() % (safe + 1), hash: madeHash(random.next(), 0xEE))
            default: .init(number: min(safe, top), hash: canonical[Int(min(safe, top))].hash)
            }
        perform(follower.on(.head(latest: .init(number: at, hash: chance(70) ? canonical[Int(at)].hash : nil), finalized: tag)))
    }

    private mutating func drive(reliable: Bool) {
        highest = max(highest, top)
        if let question = asked {
            asked = nil
            if !reliable, chance(10) { return perform(follower.on(.headerUnavailable(number: question.number))) }
            if let hash = question.hash, reliable || chance(70) {
                guard let parent = parents[hash] else { return faults.append("a header was asked for that never was") }
                return perform(follower.on(.header(BlockRef(number: question.number, hash: hash), parentHash: parent)))
            }
            guard question.number <= top else { return perform(follower.on(.headerUnavailable(number: question.number))) }
            return offer(canonical[Int(question.number)], as: ChainFollower.Event.header)
        }
        guard let next = follower.next, next <= top else { return }
        // Duplicates and blocks out of order, now and then.
        if !reliable, chance(8) { return offer(canonical[Int(random.next() % (top + 1))], as: ChainFollower.Event.block) }
        offer(canonical[Int(next)], as: ChainFollower.Event.block)
    }

    private mutating func offer(_ block: BlockRef, as event: (BlockRef, Hash32) -> ChainFollower.Event) {
        perform(follower.on(event(block, parents[block.hash] ?? .zero)))
    }

    private mutating func restart() {
        asked = nil
        final = nil
        guard let position = consumed.last else {
            follower = ChainFollower(position: nil, start: start, finalityDepth: depth)
            return
        }
        let known = random.next() % UInt64(consumed.count + 1)
        follower = ChainFollower(
            position: position, start: start, finalityDepth: depth, finalized: chance(50) ? persistedFinal : nil,
            knownTail: consumed.suffix(Int(known)))
    }

    // MARK: the consumer

    private mutating func perform(_ actions: [ChainFollower.Action]) {
        for action in actions {
            switch action {
            case .accept(let block):
                if block.number != consumed.last.map({ $0.number + 1 }) ?? start { faults.append("a gap before \(block.number)") }
                if let last = consumed.last, parents[block.hash] != last.hash { faults.append("\(block.number) is on another parent") }
                consumed.append(block)
            case .rollback(let position):
                if let final, position.number < final { faults.append("final \(final) rolled back to \(position.number)") }
                let before = consumed.count
                while let last = consumed.last, last.number > position.number { consumed.removeLast() }
                if let last = consumed.last, last != position { faults.append("a rollback to what we do not have") }
                if consumed.isEmpty, position.number + 1 != start { faults.append("a rollback below the start") }
                rollbacks += 1
                deepest = max(deepest, before - consumed.count)
            case .finalized(let number):
                if let final, number <= final { faults.append("finality went back") }
                final = number
                persistedFinal = max(persistedFinal ?? 0, number)
            case .fetchHeader(let number, let hash):
                if asked != nil { faults.append("two questions at once") }
                asked = (number, hash)
            case .halt(let reorg): faults.append("halted: \(reorg)")
            case .ignore: break
            }
        }
    }
}

@Suite struct ChainFollowerHistoryTests {
    @Test("2,000 random histories of forks, restarts and bad answers end on the canonical chain")
    func histories() {
        var rollbacks = 0
        var deepest = 0
        for seed in 1...2000 as ClosedRange<UInt64> {
            var history = History(seed: seed)
            history.run(steps: 120)
            #expect(history.faults.isEmpty, "seed \(seed): \(history.faults.prefix(3))")
            rollbacks += history.rollbacks
            deepest = max(deepest, history.deepest)
        }
        // The histories must contain what they are meant to test.
        #expect(rollbacks > 4000)
        #expect(deepest >= 12)
    }
}
