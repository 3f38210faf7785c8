import SluiceCore
import Testing

@testable import SluiceFlow

@Suite(.timeLimit(.minutes(1))) struct AggregateInboxTests {
    /// Sends as an ingress does.
    private func send(_ transit: Transit, _ stream: Int, _ inbox: AggregateInbox) async throws {
        if let arrival = try inbox.sendNow(transit, of: stream) { try await inbox.send(arrival) }
    }

    private func shown(_ line: [AggregateInbox.Arrival]) -> [String] {
        line.map { arrival in
            if case .transit(let transit) = arrival.content { "\(arrival.stream):\(name(transit))" } else { "\(arrival.stream):end" }
        }
    }

    @Test("what comes is taken in the order in which it came, whatever its stream")
    func order() async throws {
        let inbox = AggregateInbox(streams: 3, capacity: 1 << 20)
        var line: [AggregateInbox.Arrival] = []
        #expect(!inbox.take(&line))
        for (number, stream) in [0, 2, 2, 1, 0].enumerated() { try await send(numbered(number), stream, inbox) }
        inbox.finish(2)
        inbox.finish(2)
        try await send(.finalized(7), 1, inbox)
        #expect(inbox.take(&line))
        #expect(shown(line) == ["0:0", "2:1", "2:2", "1:3", "0:4", "2:end", "1:f7"])
        await #expect(throws: EdgeFinished.self) { try await send(numbered(9), 2, inbox) }
    }

    @Test("a stream without room suspends its sender, and no other; what was taken counts until it is given back")
    func room() async throws {
        let inbox = AggregateInbox(streams: 2, capacity: 2 * weight())
        var line: [AggregateInbox.Arrival] = []
        for number in 0..<2 { try await send(numbered(number), 0, inbox) }
        let third = Task { try await send(numbered(2), 0, inbox) }
        try await send(numbered(3, rows: 1_000), 1, inbox)
        #expect(inbox.take(&line) && shown(line) == ["0:0", "0:1", "1:3"])
        line.removeAll()
        for _ in 0..<200 { await Task.yield() }
        #expect(!inbox.take(&line), "the reader is not done with it")
        inbox.release([weight(), 0])
        try await third.value
        #expect(inbox.take(&line) && shown(line) == ["0:2"])
    }

    @Test("a reader that waits is woken by what comes, by the bell, and by its cancellation")
    func waking() async throws {
        let inbox = AggregateInbox(streams: 1, capacity: 1 << 20)
        inbox.ring()
        try await inbox.wait()
        for wake in 0..<3 {
            let reader = Task { try await inbox.wait() }
            for _ in 0..<100 { await Task.yield() }
            switch wake {
            case 0: inbox.ring()
            case 1: try await send(numbered(1), 0, inbox)
            default: reader.cancel()
            }
            if wake < 2 {
                try await reader.value
            } else {
                await #expect(throws: CancellationError.self) { try await reader.value }
            }
            var line: [AggregateInbox.Arrival] = []
            #expect(inbox.take(&line) == (wake == 1))
        }
    }

    @Test("when the reader fails, those who wait and those who come see why")
    func failure() async throws {
        let inbox = AggregateInbox(streams: 2, capacity: 1)
        try await send(numbered(0), 0, inbox)
        let waiting = Task { try await send(numbered(1), 0, inbox) }
        for _ in 0..<200 { await Task.yield() }
        inbox.fail(Broken())
        inbox.fail(CancellationError())
        await #expect(throws: Broken.self) { try await waiting.value }
        await #expect(throws: Broken.self) { try await send(numbered(2), 1, inbox) }
        var line: [AggregateInbox.Arrival] = []
        #expect(!inbox.take(&line))
    }

    @Test(
        "senders that are cancelled at any moment: what was sent comes once and in order, what was refused never, and never more than fits",
        arguments: [1, 2, 3] as [UInt64])
    func stress(seed: UInt64) async throws {
        let inbox = AggregateInbox(streams: 4, capacity: 4 * weight(rows: 2))
        let accepted = Box<Set<Int>>([])
        var random = SeededRandom(seed: seed)
        let cancelled = Set((0..<4_000).filter { _ in Int.random(in: 0..<3, using: &random) == 0 })
        let reader = Task {
            var received: [[Int]] = [[], [], [], []]
            var (line, ended, most): ([AggregateInbox.Arrival], Int, Int) = ([], 0, 0)
            while ended < 4 {
                guard inbox.take(&line) else {
                    try await inbox.wait()
                    continue
                }
                var done = [0, 0, 0, 0]
                for arrival in line {
                    done[arrival.stream] += arrival.weight
                    guard case .transit(let transit) = arrival.content else {
                        ended += 1
                        continue
                    }
                    if let number = Int(name(transit)) { received[arrival.stream].append(number) }
                    if received[0].count % 5 == 0 { await Task.yield() }
                }
                line.removeAll()
                most = max(most, done.max() ?? 0)
                inbox.release(done)
            }
            return (received, most)
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for stream in 0..<4 {
                group.addTask {
                    for number in stride(from: stream, to: 4_000, by: 4) {
                        let task = Task {
                            try await send(numbered(number, rows: number % 3), stream, inbox)
                            accepted.change { _ = $0.insert(number) }
                        }
                        if cancelled.contains(number) {
                            for _ in 0..<number % 4 { await Task.yield() }
                            task.cancel()
                        }
                        do { try await task.value } catch is CancellationError {}
                    }
                    inbox.finish(stream)
                }
            }
            try await group.waitForAll()
        }
        let (received, most) = try await reader.value
        #expect(Set(received.joined()) == accepted.value && received.joined().count == accepted.value.count)
        #expect(accepted.value.count >= 4_000 - cancelled.count)
        for stream in 0..<4 { #expect(received[stream] == received[stream].sorted() && received[stream].allSatisfy { $0 % 4 == stream }) }
        #expect(most <= inbox.capacity)
    }
}
