import SluiceCore
import Testing

@testable import SluiceFlow

@Suite(.timeLimit(.minutes(2))) struct EdgeModelTests {
    /// What an edge is, in a few lines: a line of numbers, and who waits at the door.
    struct Model {
        let capacity: Int
        let drops: Bool
        var line: [(number: Int, rows: Int)] = []
        var door: [(number: Int, rows: Int)] = []
        var dropped = EdgeAccounts.Tally()

        var weight: Int { line.reduce(0) { $0 + SluiceFlowTests.weight(rows: $1.rows) } }

        func fits(_ rows: Int) -> Bool { line.isEmpty || weight + SluiceFlowTests.weight(rows: rows) <= capacity }

        mutating func send(_ number: Int, rows: Int) {
            if door.isEmpty, fits(rows) {
                line.append((number, rows))
            } else if drops {
                dropped += .init(batches: 1, rows: rows)
            } else {
                door.append((number, rows))
            }
        }

        mutating func receive() -> Int? {
            guard !line.isEmpty else { return nil }
            let first = line.removeFirst()
            admit()
            return first.number
        }

        mutating func cancel(_ index: Int) {
            door.remove(at: index)
            admit()
        }

        private mutating func admit() {
            while let next = door.first, fits(next.rows) { line.append(door.removeFirst()) }
        }
    }

    @Test("an edge does what a simple queue does, for 10,000 operations", arguments: [1, 2] as [UInt64], [false, true])
    func simple(seed: UInt64, drops: Bool) async throws {
        var random = SeededRandom(seed: seed)
        let capacity = 6 * weight()
        let edge = Edge(capacity: capacity, policy: drops ? .dropNewest : .block)
        var model = Model(capacity: capacity, drops: drops)
        var senders: [Int: Task<Void, any Error>] = [:]
        var received = EdgeAccounts.Tally()
        for step in 0..<10_000 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5:
                let rows = Int.random(in: 0..<20, using: &random) == 0 ? 200 : Int.random(in: 0...20, using: &random)
                model.send(step, rows: rows)
                if model.door.last?.number == step {
                    guard model.door.count < 6 else {
                        model.door.removeLast()
                        continue
                    }
                    senders[step] = Task { try await edge.send(numbered(step, rows: rows)) }
                    let waiting = model.door.count
                    try await eventually("\(step) waits") { edge.accounts.suspended == waiting }
                } else {
                    try await edge.send(numbered(step, rows: rows))
                }
            case 5 where !model.door.isEmpty:
                let index = Int.random(in: model.door.indices, using: &random)
                let task = senders.removeValue(forKey: model.door[index].number)
                model.cancel(index)
                task?.cancel()
                await #expect(throws: CancellationError.self) { try await task?.value }
            case 6 where !model.line.isEmpty:
                received += .init(batches: 1, rows: model.line[0].rows)
                let expected = model.receive()
                #expect(name(try await edge.receive()) == expected.map { "\($0)" })
            default:
                if let first = model.line.first { received += .init(batches: 1, rows: first.rows) }
                let expected = model.receive()
                #expect(name(edge.receiveNow()) == expected.map { "\($0)" } ?? "end")
            }
            let accounts = edge.accounts
            #expect(accounts.isBalanced && accounts.received == received && accounts.dropped == model.dropped)
            #expect(accounts.memoryBytes == model.weight && accounts.suspended == model.door.count)
            #expect(accounts.waiting == .init(batches: model.line.count, rows: model.line.reduce(0) { $0 + $1.rows }))
        }
        edge.finish()
        while let expected = model.receive() { #expect(name(try await edge.receive()) == "\(expected)") }
        #expect(try await edge.receive() == nil)
        for (_, task) in senders { try await task.value }
    }

    @Test("an edge that spills is the same queue without end, for 10,000 operations", arguments: [1, 2, 3] as [UInt64])
    func spilling(seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        let folder = TemporaryFolder()
        let capacity = 5 * weight()
        let edge = Edge(capacity: capacity, policy: .spill(SpillSpace(folder: folder.path, limit: 1 << 30, segmentSize: 30_000)))
        var line: [String] = []
        var head = 0
        for step in 0..<10_000 {
            // Now more is sent than read, now the other way round.
            let sends = step / 1_000 % 2 == 0 ? 7 : 3
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<sends:
                let transit: Transit =
                    switch Int.random(in: 0..<20, using: &random) {
                    case 0: .finalized(UInt64(step))
                    case 1: .rollback(to: FakeBlock(number: UInt64(step), branch: 0).ref)
                    case 2: numbered(step, rows: 200)
                    default: numbered(step, rows: Int.random(in: 0...20, using: &random))
                    }
                try await edge.send(transit)
                line.append(name(transit))
            case 9 where head < line.count:
                #expect(name(try await edge.receive()) == line[head])
                head += 1
            default:
                guard let transit = edge.receiveNow() else {
                    // What waits may be on disk.
                    #expect(head == line.count || edge.accounts.waiting.batches > 0 || !edge.isIdle)
                    continue
                }
                #expect(head < line.count && name(transit) == line[min(head, line.count - 1)])
                head += 1
            }
            let accounts = edge.accounts
            #expect(accounts.isBalanced && accounts.dropped.batches == 0)
            #expect(accounts.memoryBytes <= 2 * max(capacity, weight(rows: 200)), "a heavy one may be alone, before the disk and behind it")
            #expect(edge.isIdle == (head == line.count))
        }
        #expect(edge.accounts.spilled.batches > 100)
        edge.finish()
        #expect(try await edge.all() == Array(line[head...]))
        #expect(folder.files.isEmpty && edge.accounts.diskBytes == 0)
    }

    enum Kind: CaseIterable { case block, spill, tightSpill, drop }

    @Test("whoever sends, reads and gives up, the accounts balance at every moment", arguments: Kind.allCases, [1, 2] as [UInt64])
    func accounts(kind: Kind, seed: UInt64) async throws {
        let folder = TemporaryFolder()
        let policy: EdgePolicy =
            switch kind {
            case .block: .block
            case .spill: .spill(SpillSpace(folder: folder.path, limit: 1 << 30, segmentSize: 10_000))
            case .tightSpill: .spill(SpillSpace(folder: folder.path, limit: 30_000))
            case .drop: .dropNewest
            }
        let edge = Edge(capacity: 4 * weight(), policy: policy)
        let (sent, received) = (Box(EdgeAccounts.Tally()), Box(EdgeAccounts.Tally()))
        let isOver = Box(false)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                while !isOver.value, !Task.isCancelled {
                    let accounts = edge.accounts
                    #expect(accounts.isBalanced, "\(accounts)")
                    #expect(accounts.inMemory.batches >= 0 && accounts.onDisk.rows >= 0 && accounts.memoryBytes >= 0)
                    await Task.yield()
                }
            }
            for lane in 0..<4 as Range<UInt64> {
                group.addTask {
                    var random = SeededRandom(seed: seed * 10 + lane)
                    for number in 0..<500 {
                        let rows = Int.random(in: 0...9, using: &random)
                        let task = Task {
                            try await edge.send(numbered(number, rows: rows))
                            sent.change { $0 += .init(batches: 1, rows: rows) }
                        }
                        if Int.random(in: 0..<3, using: &random) == 0 {
                            for _ in 0..<Int.random(in: 0..<5, using: &random) { await Task.yield() }
                            task.cancel()
                        }
                        do { try await task.value } catch is CancellationError {} catch is Broken {}
                        if number % 10 == 0 { do { try await edge.send(.finalized(UInt64(number))) } catch is Broken {} }
                    }
                }
            }
            let reader = Task {
                var random = SeededRandom(seed: seed)
                var count = 0
                do {
                    while let transit = try await edge.receive() {
                        if case .batch(let batch) = transit { received.change { $0 += .init(batches: 1, rows: batch.rowCount) } }
                        count += 1
                        // Once in the middle of all it fails.
                        if seed == 2, count == 700 { edge.fail(Broken()) }
                        for _ in 0..<Int.random(in: 0..<6, using: &random) { await Task.yield() }
                    }
                } catch is Broken {}
            }
            for _ in 0..<4 { try await group.next() }
            edge.finish()
            try await reader.value
            isOver.change { $0 = true }
            try await group.waitForAll()
        }
        let accounts = edge.accounts
        #expect(accounts.isBalanced && accounts.waiting == .init() && accounts.suspended == 0)
        #expect(accounts.received == received.value)
        if seed == 1 { #expect(accounts.sent == sent.value && accounts.abandoned == .init()) }
        if kind != .drop { #expect(accounts.dropped == .init()) }
        try await eventually("the files are gone") { folder.files.isEmpty }
    }
}
