import SluiceCore
import SluiceFlow
import Testing

@Suite(.timeLimit(.minutes(1))) struct EdgeTests {
    @Test("transits come in order, and the end behind them")
    func order() async throws {
        let edge = Edge(capacity: 3 * weight())
        async let sent: Void = {
            for number in 0..<1_000 { try await edge.send(numbered(number)) }
            edge.finish()
        }()
        #expect(try await edge.all() == (0..<1_000).map { "\($0)" })
        try await sent
        #expect(try await edge.receive() == nil && edge.receiveNow() == nil)
        await #expect(throws: (any Error).self) { try await edge.send(numbered(1)) }
    }

    @Test("a full edge holds its senders, by weight, and lets a heavy batch pass alone")
    func backPressure() async throws {
        let edge = Edge(capacity: weight(rows: 60))
        let done = Box<[Int]>([])
        try await edge.send(numbered(1, rows: 40))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, rows) in [30, 1_000, 1].enumerated() {
                group.addTask {
                    try await edge.send(numbered(index + 2, rows: rows))
                    done.change { $0.append(rows) }
                }
                // One behind the other, so that the order is known.
                try await eventually("sender \(index) waits") { edge.accounts.suspended == index + 1 }
            }
            #expect(done.value == [])
            #expect(edge.accounts.memoryBytes == weight(rows: 40))
            #expect(edge.accounts.sent == .init(batches: 1, rows: 40), "who waits at the door has not sent yet")
            for number in 1...4 { #expect(name(try await edge.receive()) == "\(number)") }
            try await group.waitForAll()
        }
        #expect(done.value.sorted() == [1, 30, 1_000])
        #expect(edge.accounts.memoryBytes == 0 && edge.receiveNow() == nil && edge.isIdle)
        #expect(edge.accounts.received == .init(batches: 4, rows: 1_071) && edge.accounts.isBalanced)
    }

    @Test("control messages weigh too: a reader that stands still does not gather them without end")
    func controls() async throws {
        let edge = Edge(capacity: 1024)
        for number in 0..<4 { try await edge.send(.finalized(UInt64(number))) }
        let fifth = Task { try await edge.send(.rollback(to: FakeBlock(number: 4, branch: 0).ref)) }
        try await eventually("the fifth waits") { edge.accounts.suspended == 1 }
        #expect(edge.accounts.sent == .init(), "neither batch nor row")
        edge.finish()
        #expect(try await edge.all() == ["f0", "f1", "f2", "f3", "r4"])
        try await fifth.value
    }

    @Test("a sender that is cancelled leaves nothing behind, before or while it waits")
    func cancelledSender() async throws {
        let edge = Edge(capacity: 1)
        try await edge.send(numbered(1))
        let waiting = Task { try await edge.send(numbered(2)) }
        try await eventually("it waits") { edge.accounts.suspended == 1 }
        let next = Task { try await edge.send(numbered(3)) }
        try await eventually("both wait") { edge.accounts.suspended == 2 }
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        #expect(name(try await edge.receive()) == "1")
        #expect(name(try await edge.receive()) == "3")
        try await next.value
        // Cancelled before it begins: refused although there is room.
        let late = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await edge.send(numbered(4))
        }
        await #expect(throws: CancellationError.self) { try await late.value }
        #expect(edge.receiveNow() == nil && edge.accounts.sent.batches == 2)
    }

    @Test("when a heavy sender goes away, light ones behind it need not wait for the reader")
    func heavySenderLeaves() async throws {
        let edge = Edge(capacity: weight() * 2)
        try await edge.send(numbered(1))
        let heavy = Task { try await edge.send(numbered(2, rows: 100)) }
        try await eventually("the heavy one waits") { edge.accounts.suspended == 1 }
        let light = Task { try await edge.send(numbered(3)) }
        try await eventually("both wait") { edge.accounts.suspended == 2 }
        heavy.cancel()
        try await light.value
        #expect(edge.accounts.suspended == 0 && edge.accounts.suspensions == 2 && edge.accounts.inMemory.batches == 2)
        await #expect(throws: CancellationError.self) { try await heavy.value }
    }

    @Test("a receiver that is cancelled takes nothing")
    func cancelledReceiver() async throws {
        let edge = Edge(capacity: 1)
        let waiting = Task { try await edge.receive() }
        for _ in 0..<100 { await Task.yield() }
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        try await edge.send(numbered(7))
        #expect(name(try await edge.receive()) == "7")
    }

    @Test("an error reaches both sides and drops what waits; a later end changes nothing")
    func fail() async throws {
        let edge = Edge(capacity: 1)
        try await edge.send(numbered(1, rows: 5))
        let sender = Task { try await edge.send(numbered(2)) }
        try await eventually("it waits") { edge.accounts.suspended == 1 }
        edge.fail(Broken())
        edge.finish()
        await #expect(throws: Broken.self) { try await sender.value }
        await #expect(throws: Broken.self) { _ = try await edge.receive() }
        await #expect(throws: Broken.self) { try await edge.send(numbered(3)) }
        #expect(edge.accounts.abandoned == .init(batches: 1, rows: 5) && edge.accounts.isBalanced && edge.accounts.waiting == .init())
        let other = Edge(capacity: 1)
        let receiver = Task { try await other.receive() }
        for _ in 0..<100 { await Task.yield() }
        other.fail(Broken())
        await #expect(throws: Broken.self) { _ = try await receiver.value }
        // A task that was cancelled because of the error is told of the error.
        let late = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await other.send(numbered(4))
        }
        await #expect(throws: Broken.self) { try await late.value }
    }

    @Test("the end wakes a receiver, and who waits at the door still comes in")
    func finish() async throws {
        let edge = Edge(capacity: 1)
        let receiver = Task { try await edge.receive() }
        for _ in 0..<100 { await Task.yield() }
        edge.finish()
        #expect(try await receiver.value == nil)

        let full = Edge(capacity: 1)
        try await full.send(numbered(1))
        let sender = Task { try await full.send(numbered(2)) }
        try await eventually("it waits") { full.accounts.suspended == 1 }
        full.finish()
        full.fail(Broken())
        #expect(try await full.all() == ["1", "2"])
        try await sender.value
    }

    @Test(
        "many senders, many of them cancelled at any moment: what was sent comes once, what was refused never",
        arguments: [1, 2, 3] as [UInt64])
    func stress(seed: UInt64) async throws {
        let edge = Edge(capacity: weight() * 4)
        let accepted = Box<Set<Int>>([])
        var random = SeededRandom(seed: seed)
        let cancelled = Set((0..<2_000).filter { _ in Bool.random(using: &random) })
        let received = try await withThrowingTaskGroup(of: Void.self) { group in
            let receiver = Task {
                var received: [Int] = []
                while let transit = try await edge.receive() {
                    guard let number = Int(name(transit)) else { continue }
                    received.append(number)
                    if number % 7 == 0 { await Task.yield() }
                    if number % 5 == 0, let more = edge.receiveNow(), let number = Int(name(more)) { received.append(number) }
                }
                return received
            }
            for lane in 0..<8 {
                group.addTask {
                    for number in stride(from: lane, to: 2_000, by: 8) {
                        let task = Task {
                            try await edge.send(numbered(number, rows: number % 3))
                            accepted.change { _ = $0.insert(number) }
                        }
                        if cancelled.contains(number) {
                            for _ in 0..<number % 4 { await Task.yield() }
                            task.cancel()
                        }
                        do { try await task.value } catch is CancellationError {}
                    }
                }
            }
            try await group.waitForAll()
            edge.finish()
            return try await receiver.value
        }
        #expect(Set(received).count == received.count)
        #expect(Set(received) == accepted.value)
        #expect(received.count >= 1_000 - cancelled.count / 2)
        for lane in 0..<8 { #expect(received.filter { $0 % 8 == lane } == received.filter { $0 % 8 == lane }.sorted()) }
        #expect(edge.accounts.received.rows == received.reduce(0) { $0 + $1 % 3 } && edge.accounts.isBalanced)
    }
}
