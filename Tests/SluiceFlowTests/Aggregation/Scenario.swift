import SluiceCore
import SluiceFlow
import Testing

/// Chains that grow, are reorganised and become final at random, in step with a synchronizer.
struct Scenario {
    var random: SeededRandom
    var following: Following
    let policy: SynchronizationPolicy
    /// What each stream holds by its own account.
    var chains: [[StreamBlock]]
    var finalized: [UInt64?]
    /// The blocks that were not orphaned, in the order in which they came (again).
    var arrivals: [StreamBlock] = []
    /// How many blocks of each chain the synchronizer was sent.
    var sent: [Int]
    private var branches: UInt64 = 0

    init(_ policy: SynchronizationPolicy, streams: Int, seed: UInt64) throws {
        self.policy = policy
        random = SeededRandom(seed: seed)
        following = try Following(policy, streams: streams)
        chains = [[StreamBlock]](repeating: [], count: streams)
        finalized = [UInt64?](repeating: nil, count: streams)
        sent = [Int](repeating: 0, count: streams)
    }

    var streams: Range<Int> { chains.indices }

    /// What a stream's pace is: some have a block a second, others one in some ten.
    private func pace(_ stream: Int) -> UInt64 { [12, 2, 5, 1][stream % 4] }

    private mutating func draw(_ range: ClosedRange<UInt64>) -> UInt64 { UInt64.random(in: range, using: &random) }

    private mutating func grow(_ stream: Int) -> StreamBlock {
        let last = chains[stream].last
        let time = (last?.timestamp ?? 1_000) + draw(0...pace(stream) * 2)
        let number = last.map { $0.number + 1 } ?? draw(0...6)
        let block = StreamBlock(stream: stream, number: number, branch: branches, timestamp: time)
        chains[stream].append(block)
        return block
    }

    private mutating func send(_ blocks: [StreamBlock]) {
        guard let first = blocks.first else { return }
        following.send(blocks)
        arrivals += blocks
        sent[first.stream] += blocks.count
    }

    /// Lets something happen to a stream that is drawn.
    mutating func step() {
        let stream = Int(draw(0...UInt64(chains.count - 1)))
        guard sent[stream] == chains[stream].count else {
            // It is being read again after a restart.
            let end = min(chains[stream].count, sent[stream] + Int(draw(1...3)))
            return send(Array(chains[stream][sent[stream]..<end]))
        }
        switch draw(0...9) {
        case 0, 1: reorganise(stream)
        case 2, 3:
            guard let last = chains[stream].last else { return }
            // Ten times out of hundred all of it.
            let number = last.number - min(last.number, draw(0...9) == 0 ? 0 : draw(1...6))
            finalized[stream] = max(finalized[stream] ?? 0, number)
            following.finalize(stream, finalized[stream] ?? 0)
        default: send((0..<draw(1...3)).map { _ in grow(stream) })
        }
    }

    /// Drops the newest blocks that are not final.
    mutating func reorganise(_ stream: Int) {
        guard let position = drop(stream) else { return }
        let orphaned = sent[stream] - chains[stream].count
        guard orphaned > 0 else { return }
        sent[stream] = chains[stream].count
        let kept = Set(chains[stream])
        arrivals.removeAll { $0.stream == stream && !kept.contains($0) }
        following.rollback(to: position)
    }

    /// Drops some blocks of a chain; returns the last that stays.
    private mutating func drop(_ stream: Int) -> StreamBlock? {
        let removable = chains[stream].reversed().prefix { block in finalized[stream].map { block.number > $0 } ?? true }.count
        let depth = min(removable, chains[stream].count - 1, Int(draw(1...5)))
        guard depth > 0 else { return nil }
        branches += 1
        chains[stream].removeLast(depth)
        return chains[stream].last
    }

    /// Ends the process and begins another, with what a store has of the bundles; the chains go on meanwhile.
    mutating func restart() throws {
        let count = Int(draw(0...UInt64(following.bundles.count)))
        try following.restart(holding: max(count, Int(following.finalized) - 2))
        arrivals = []
        for stream in streams {
            for _ in 0..<draw(0...2) {
                _ = drop(stream)
                if !chains[stream].isEmpty { for _ in 0..<draw(0...3) { _ = grow(stream) } }
            }
            let from = following.synchronizer.readFrom[stream]
            sent[stream] = from.flatMap { from in chains[stream].firstIndex { $0.ref == from }.map { $0 + 1 } } ?? 0
            // What came meanwhile may be final before the stream has been read again up to there.
            if let last = chains[stream].last, draw(0...2) == 0 {
                finalized[stream] = max(finalized[stream] ?? 0, last.number - min(last.number, draw(0...8)))
            }
            if let finalized = finalized[stream], draw(0...1) == 0 { following.finalize(stream, finalized) }
        }
    }

    /// Sends what a restart has left to be read again, and more: where a chain came back shorter, it shows as it grows that blocks of
    /// bundles were orphaned.
    mutating func catchUp() {
        for stream in streams where !chains[stream].isEmpty { for _ in 0..<30 { _ = grow(stream) } }
        while let stream = streams.first(where: { sent[$0] < chains[$0].count }) {
            send(Array(chains[stream][sent[stream]...]))
        }
    }

    /// What there should be.
    var expected: [String] { Model.lines(policy, arrivals, streams: chains.count) }
}

/// The policies in words as plain as can be: over all blocks at once, without anything that is ever undone.
enum Model {
    static func lines(_ policy: SynchronizationPolicy, _ arrivals: [StreamBlock], streams: Int) -> [String] {
        let chains = (0..<streams).map { stream in arrivals.filter { $0.stream == stream } }
        let bundles: [[[StreamBlock]]]
        switch policy {
        case .onUpdate(let trigger, let others, _):
            bundles = onUpdate(trigger, others.count == 1 ? Array(repeating: others[0], count: streams - 1) : others, arrivals, streams)
        case .latestOfEach:
            var latest = [StreamBlock?](repeating: nil, count: streams)
            bundles = arrivals.compactMap { block in
                latest[block.stream] = block
                let all = latest.compactMap { $0 }
                return all.count == streams ? all.map { [$0] } : nil
            }
        case .alignedByHeight:
            let common = chains.map { Set($0.map(\.number)) }.reduce(Set(chains[0].map(\.number))) { $0.intersection($1) }
            bundles = common.sorted().map { number in chains.map { chain in chain.filter { $0.number == number } } }
        case .alignedByTime(let tolerance, _): bundles = byTime(tolerance, chains)
        case .window(let seconds, _):
            let windows = Set(arrivals.map { $0.timestamp / seconds }).sorted()
            bundles = windows.compactMap { window in
                guard chains.allSatisfy({ $0.contains { $0.timestamp / seconds > window } }) else { return nil }
                return chains.map { chain in chain.filter { $0.timestamp / seconds == window } }
            }
        }
        return bundles.map { bundle in
            bundle.map { $0.isEmpty ? "-" : $0.map(\.description).joined(separator: ",") }.joined(separator: " ")
        }
    }

    private static func onUpdate(
        _ trigger: Int, _ others: [Cardinality], _ arrivals: [StreamBlock], _ streams: Int
    ) -> [[[StreamBlock]]] {
        var cardinalities = others
        cardinalities.insert(.atMostOne, at: trigger)
        var queues = [[StreamBlock]](repeating: [], count: streams)
        var bundles: [[[StreamBlock]]] = []
        for block in arrivals {
            queues[block.stream].append(block)
            while !queues[trigger].isEmpty, (0..<streams).allSatisfy({ cardinalities[$0] != .atLeastOne || !queues[$0].isEmpty }) {
                bundles.append(
                    (0..<streams).map { stream in
                        let count = cardinalities[stream] == .atMostOne ? min(1, queues[stream].count) : queues[stream].count
                        defer { queues[stream].removeFirst(count) }
                        return Array(queues[stream].prefix(count))
                    })
            }
        }
        return bundles
    }

    /// The first blocks of all: a bundle if they lie close together, else the earliest is dropped.
    private static func byTime(_ tolerance: UInt64, _ chains: [[StreamBlock]]) -> [[[StreamBlock]]] {
        var rests = chains.map { $0[...] }
        var bundles: [[[StreamBlock]]] = []
        while true {
            let fronts = rests.compactMap(\.first)
            guard fronts.count == chains.count, let earliest = fronts.min(by: { $0.timestamp < $1.timestamp }),
                let latest = fronts.map(\.timestamp).max()
            else { return bundles }
            if latest - earliest.timestamp <= tolerance {
                bundles.append(fronts.map { [$0] })
                for stream in rests.indices { rests[stream].removeFirst() }
            } else {
                rests[earliest.stream].removeFirst()
            }
        }
    }
}
