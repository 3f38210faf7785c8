import SluiceCore
import SluiceTestKit
import Synchronization
import Testing

@testable import KafkaConnector

/// Members of a group, and partitions that are read, on librdkafka's own mock cluster: another implementation of groups than that of our broker.
@Suite(.enabled(if: TestServices.hasKafkaReader, "kcat is not installed")) struct KafkaMemberTests {
    /// Takes what a partition brings.
    private final class Taken: Egress {
        let transits = Mutex<[Transit]>([])
        func send(_ transit: Transit) async throws { transits.withLock { $0.append(transit) } }

        var batches: [Batch] {
            transits.withLock { $0.compactMap { if case .batch(let batch) = $0 { batch } else { nil } } }
        }
    }

    /// What is said next that is not nothing.
    private func news(_ member: any SourceMembership) async throws -> SourceNews {
        let start = ContinuousClock.now
        while ContinuousClock.now - start < .seconds(60) {
            let news = try await member.next()
            if case .nothing = news { continue }
            return news
        }
        throw Script.Failure(words: "the group says nothing")
    }

    /// Polls both until each has some of the partitions, and none has what the other has.
    private func share(_ members: [any SourceMembership], _ owned: inout [Set<Int32>]) async throws {
        let start = ContinuousClock.now
        while owned.contains(where: \.isEmpty) || owned.reduce(0, { $0 + $1.count }) != 4 {
            guard ContinuousClock.now - start < .seconds(60) else { throw Script.Failure(words: "partitions are not shared: \(owned)") }
            for (index, member) in members.enumerated() {
                switch try await member.next() {
                case .nothing: break
                case .assigned(let parts):
                    owned[index].formUnion(parts.map(\.number))
                    try await member.take(parts)
                case .revoked(let parts, _):
                    owned[index].subtract(parts.map(\.number))
                    try await member.giveBack(parts)
                }
            }
        }
    }

    private func fill(_ brokers: String) async throws {
        _ = try await Script.output([
            "-c",
            "import subprocess, sys; subprocess.run(['kcat', '-P', '-b', sys.argv[1], '-t', 'm', '-K', ':'], check=True, "
                + "input=''.join(f'k{n}:v{n}\\n' for n in range(1000)).encode())", brokers,
        ])
    }

    @Test("one member has all partitions, two share them; what is read is what was sent, and offsets that are told are known to the next")
    func members() async throws {
        try await Script.serving("mock") { brokers in
            try await fill(brokers)
            var options = KafkaSourceOptions(brokers: brokers, topic: "m")
            options.sessionTimeout = .seconds(6)
            options.batchOffsets = 50
            let source = KafkaSource(options, network: "n")
            let one = try await source.join("p")
            guard case .assigned(let parts) = try await news(one) else { throw Script.Failure(words: "not assigned") }
            try await one.take(parts)
            #expect(parts.map(\.number).sorted() == [0, 1, 2, 3])
            var values: Set<String> = []
            var ends: [SourcePart: UInt64] = [:]
            for part in parts {
                let oracle = source.oracle(of: part, for: "p") { _ in }
                let last = try await oracle.head().latest
                ends[part] = last + 1
                let taken = Taken()
                try await oracle.backfill(0...last, after: nil, into: taken)
                let batches = taken.batches
                #expect(batches.allSatisfy { $0.span.last.number % 50 == 49 || $0.span.last.number == last })
                for (one, next) in zip(batches, batches.dropFirst()) { #expect(next.span.parentHash == one.span.last.hash) }
                for table in batches.flatMap(\.tables) {
                    for row in 0..<table.rowCount { values.insert(String(decoding: table.columns[7].bytes(row), as: UTF8.self)) }
                }
            }
            #expect(values == Set((0..<1000).map { "v\($0)" }))
            try await one.tell(ends)
            for (part, end) in ends { #expect(try await source.lookup.committed(part, group: "sluice.p") == end) }
            let two = try await source.join("p")
            var owned: [Set<Int32>] = [[0, 1, 2, 3], []]
            try await share([one, two], &owned)
            #expect(owned[0].isDisjoint(with: owned[1]) && owned[0].union(owned[1]) == [0, 1, 2, 3])
            await two.leave()
            await one.leave()
        }
    }
}
