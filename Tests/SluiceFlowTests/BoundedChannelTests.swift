import SluiceCore
import SluiceFlow
import Testing

@Suite(.timeLimit(.minutes(1))) struct BoundedChannelTests {
    struct Broken: Error, Equatable {}

    @Test("elements come in order, and the end behind them")
    func order() async throws {
        let channel = BoundedChannel<Int>(capacity: 3)
        async let sent: Void = {
            for number in 0..<1_000 { try await channel.send(number) }
            channel.finish()
        }()
        var received: [Int] = []
        while let number = try await channel.receive() { received.append(number) }
        try await sent
        #expect(received == Array(0..<1_000))
        #expect(try await channel.receive() == nil)
        await #expect(throws: (any Error).self) { try await channel.send(1) }
    }

    @Test("a full channel holds its senders, by weight, and lets a heavy element pass alone")
    func backPressure() async throws {
        let channel = BoundedChannel<Int>(capacity: 10, weigh: { $0 })
        let done = Box<[Int]>([])
        try await channel.send(6)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for weight in [5, 100, 1] {
                group.addTask {
                    try await channel.send(weight)
                    done.change { $0.append(weight) }
                }
                // One behind the other, so that the order is known.
                for _ in 0..<200 { await Task.yield() }
            }
            #expect(done.value == [])
            #expect(channel.weight == 6)
            #expect(try await channel.receive() == 6)
            #expect(try await channel.receive() == 5)
            #expect(try await channel.receive() == 100)
            #expect(try await channel.receive() == 1)
            try await group.waitForAll()
        }
        #expect(done.value.sorted() == [1, 5, 100])
        #expect(channel.weight == 0 && channel.receiveNow() == nil)
    }

    @Test("a sender that is cancelled leaves nothing behind, before or while it waits")
    func cancelledSender() async throws {
        let channel = BoundedChannel<Int>(capacity: 1)
        try await channel.send(1)
        let waiting = Task { try await channel.send(2) }
        let next = Task {
            _ = await waiting.result
            try await channel.send(3)
        }
        for _ in 0..<100 { await Task.yield() }
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        #expect(try await channel.receive() == 1)
        #expect(try await channel.receive() == 3)
        try await next.value
        // Cancelled before it begins: refused although there is room.
        let late = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await channel.send(4)
        }
        await #expect(throws: CancellationError.self) { try await late.value }
        #expect(channel.receiveNow() == nil)
    }

    @Test("a receiver that is cancelled takes nothing")
    func cancelledReceiver() async throws {
        let channel = BoundedChannel<Int>(capacity: 1)
        let waiting = Task { try await channel.receive() }
        for _ in 0..<100 { await Task.yield() }
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        try await channel.send(7)
        #expect(try await channel.receive() == 7)
    }

    @Test("an error reaches both sides and drops what waits; a later end changes nothing")
    func fail() async throws {
        let channel = BoundedChannel<Int>(capacity: 1)
        try await channel.send(1)
        let sender = Task { try await channel.send(2) }
        for _ in 0..<100 { await Task.yield() }
        channel.fail(Broken())
        channel.finish()
        await #expect(throws: Broken.self) { try await sender.value }
        await #expect(throws: Broken.self) { _ = try await channel.receive() }
        await #expect(throws: Broken.self) { try await channel.send(3) }
        let other = BoundedChannel<Int>(capacity: 1)
        let receiver = Task { try await other.receive() }
        for _ in 0..<100 { await Task.yield() }
        other.fail(Broken())
        await #expect(throws: Broken.self) { _ = try await receiver.value }
    }

    @Test("the end wakes a receiver, and what waits at the door still comes in")
    func finish() async throws {
        let channel = BoundedChannel<Int>(capacity: 1)
        let receiver = Task { try await channel.receive() }
        for _ in 0..<100 { await Task.yield() }
        channel.finish()
        #expect(try await receiver.value == nil)

        let full = BoundedChannel<Int>(capacity: 1)
        try await full.send(1)
        let sender = Task { try await full.send(2) }
        for _ in 0..<2_000 { await Task.yield() }
        full.finish()
        #expect(try await full.receive() == 1)
        // The sender waited before the end, or came too late: either way both sides agree.
        let second = try await full.receive()
        let result = await sender.result
        #expect((second == 2) == ((try? result.get()) != nil))
        #expect(try await full.receive() == nil)
    }

    @Test(
        "many senders, many of them cancelled at any moment: what was sent comes once, what was refused never",
        arguments: [1, 2, 3] as [UInt64])
    func stress(seed: UInt64) async throws {
        let channel = BoundedChannel<Int>(capacity: 4, weigh: { $0 % 3 + 1 })
        let accepted = Box<Set<Int>>([])
        var random = SeededRandom(seed: seed)
        let cancelled = Set((0..<2_000).filter { _ in Bool.random(using: &random) })
        let received = try await withThrowingTaskGroup(of: Void.self) { group in
            let receiver = Task {
                var received: [Int] = []
                while let number = try await channel.receive() {
                    received.append(number)
                    if number % 7 == 0 { await Task.yield() }
                    if number % 5 == 0, let more = channel.receiveNow() { received.append(more) }
                }
                return received
            }
            for lane in 0..<8 {
                group.addTask {
                    for number in stride(from: lane, to: 2_000, by: 8) {
                        let task = Task {
                            try await channel.send(number)
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
            channel.finish()
            return try await receiver.value
        }
        #expect(Set(received).count == received.count)
        #expect(Set(received) == accepted.value)
        #expect(received.count >= 1_000 - cancelled.count / 2)
        for lane in 0..<8 { #expect(received.filter { $0 % 8 == lane } == received.filter { $0 % 8 == lane }.sorted()) }
    }

    @Test("a wish to stop wakes all who wait for it, once and for all; cancelling wakes one")
    func stopSignal() async throws {
        let stop = StopSignal()
        let one = Task { await stop.wait() }
        let two = Task { await stop.wait() }
        for _ in 0..<100 { await Task.yield() }
        one.cancel()
        await one.value
        #expect(!stop.isRaised)
        stop.raise()
        stop.raise()
        await two.value
        await stop.wait()
        #expect(stop.isRaised)
    }
}
