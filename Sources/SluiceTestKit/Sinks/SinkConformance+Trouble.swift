import SluiceCore

extension SinkConformance {
    /// Calls that do not come to their end.
    static let trouble: [Case] = [
        Case("a call that is cancelled leaves a stream that can say where it stands, and goes on from there", isSmall: true) {
            subject, findings in
            var (sink, stream) = try await subject.open()
            var next: UInt64 = 1
            for round in 0..<12 {
                let (from, current) = (next, stream)
                let task = Task {
                    for first in stride(from: from, to: from + 60, by: 6) {
                        _ = try await current.write(SmallChain.batch(first...first + 5))
                    }
                    _ = try await current.flush()
                }
                for _ in 0..<round * 3 { await Task.yield() }
                task.cancel()
                do {
                    try await task.value
                    next = from + 60
                } catch is CancellationError {
                    next = try await resumed(stream, from: from, &findings)
                } catch let error as SluiceError where error.class == .retry {
                    next = try await resumed(stream, from: from, &findings)
                }
                if round % 4 == 3 {
                    try await subject.settle(stream)
                    await sink.close()
                    (sink, stream) = try await subject.open()
                    next = try await resumed(stream, from: from, &findings)
                    if next > 1 { try await findings.expectBlocks(subject, [Blocks(1...next - 1)], isDisturbed: true) }
                }
            }
        },
        Case(
            "connections that are cut after a request and before its answer lose nothing, and nothing comes twice", isSmall: true,
            isCut: true
        ) { subject, findings in
            guard let proxy = subject.place.proxy else { return findings.expect(false, "no proxy") }
            for seed in 1...3 as ClosedRange<UInt64> {
                proxy.cut(oneIn: 9, seed: seed)
                try await passing {
                    let (sink, _) = try await subject.open()
                    // Of a process that died nothing would be left to keep the next one out.
                    if subject.promises.fence == .newer { await sink.close() }
                }
            }
            let (sink, stream) = try await passing { try await subject.open() }
            var next = try await passing { try await stream.coverage() }.last.map { $0.last.number + 1 } ?? 1
            let last: UInt64 = 160
            var rounds = 0
            while next <= last, rounds < 400 {
                rounds += 1
                do {
                    _ = try await stream.write(SmallChain.batch(next...min(last, next + 3)))
                    next = min(last, next + 3) + 1
                    if next % 3 == 0 || next > last { try await subject.settle(stream) }
                } catch let error as SluiceError {
                    findings.expect([.retry, .pause].contains(error.class), error.debugDescription)
                    next = try await passing { try await stream.coverage() }.last.map { $0.last.number + 1 } ?? 1
                }
            }
            proxy.cut(oneIn: nil, seed: 0)
            findings.expect(next == last + 1, "stands at \(next) after \(rounds) rounds")
            findings.expect(proxy.cuts > 3, "only \(proxy.cuts) cuts")
            _ = try? await stream.finish()
            await sink.close()
            findings.expect(try await subject.open().stream.coverage(), [SmallChain.segment(1...last)])
            try await findings.expectBlocks(subject, [Blocks(1...last)])
        },
        Case("a rollback whose connection is cut is done or not done, and can be done again", isCut: true, for: { $0.undo == .all }) {
            subject, findings in
            guard let proxy = subject.place.proxy else { return findings.expect(false, "no proxy") }
            var (sink, stream) = try await subject.open()
            var last: UInt64 = 0
            for seed in 1...8 as ClosedRange<UInt64> {
                _ = try await stream.write(SmallChain.batch(last + 1...last + 12))
                try await subject.settle(stream)
                let kept = last + 5
                proxy.cut(oneIn: 3, seed: seed)
                try? await stream.rollback(to: SmallChain.position(kept))
                proxy.cut(oneIn: nil, seed: 0)
                if seed % 2 == 0 {
                    await sink.close()
                    (sink, stream) = try await subject.open()
                }
                // What the runtime does when it meets a stream again: it asks, and undoes what is orphaned.
                let found = try await stream.coverage()
                findings.expect(
                    [kept, last + 12].contains { found == [SmallChain.segment(1...$0)] }, "seed \(seed): \(found), kept \(kept)")
                try await stream.rollback(to: SmallChain.position(kept))
                findings.expect(try await stream.coverage(), [SmallChain.segment(1...kept)], "seed \(seed)")
                try await findings.expectBlocks(subject, [Blocks(1...kept)], isDisturbed: true)
                last = kept
            }
        },
        Case("a server that cannot be reached is one clear error, and the stream goes on when it can", isCut: true) { subject, findings in
            guard let proxy = subject.place.proxy else { return findings.expect(false, "no proxy") }
            let (sink, stream) = try await subject.open()
            _ = try await stream.write(SmallChain.batch(1...5))
            try await subject.settle(stream)
            proxy.refuse(true)
            await findings.expectRefusal(subject, "opening", class: [.retry]) { _ = try await subject.open() }
            await findings.expectRefusal(subject, "storing", class: [.retry]) {
                _ = try await stream.write(SmallChain.batch(6...8))
                try await subject.settle(stream)
            }
            proxy.refuse(false)
            let stands = try await passing { try await stream.coverage() }
            findings.expect(stands, [SmallChain.segment(1...5)])
            _ = try await stream.write(SmallChain.batch(6...9))
            try await subject.settle(stream)
            await sink.close()
            findings.expect(try await subject.open().stream.coverage(), [SmallChain.segment(1...9)])
            try await findings.expectBlocks(subject, [Blocks(1...9)])
        },
    ]

    /// The next block that a stream wants, which holds all before it or nothing.
    private static func resumed(_ stream: any SinkStream, from: UInt64, _ findings: inout Findings) async throws -> UInt64 {
        let found = try await stream.coverage()
        guard let last = found.last?.last.number else { return 1 }
        findings.expect(found == [SmallChain.segment(1...last)], "\(found)")
        return last + 1
    }

    /// What a call gives once it is let through; a hundred times at most.
    static func passing<T>(_ body: () async throws -> T) async throws -> T {
        for _ in 0..<100 {
            do { return try await body() } catch let error as SluiceError where error.class == .retry {}
        }
        return try await body()
    }
}
