import Glibc
import SluiceCore
import SluiceTestKit
import Testing

extension EndToEnd {
    /// Several processes of one group, over one store that keeps positions with its rows.
    @Suite(
        .needsReaders, .enabled(if: TestServices.hasKafkaReader, "kcat is not installed"),
        .enabled(if: Surroundings.postgres != nil, "PostgreSQL is not installed"))
    struct KafkaGroup {
        @Test("members share the partitions, take over from those that come, go and are killed, and no record is lost or doubled")
        func shared() async throws {
            try await Sandbox.run { box in
                let topic = try await Topic(box, partitions: 6)
                let (one, two) = (TopicReader(topic, "one", .postgres), TopicReader(topic, "two", .postgres))
                let first = try one.start()
                try await topic.produce(0, 1000)
                try await one.committed(try await one.ends(6), first)
                // A second one comes while records do.
                let second = try two.start()
                try await topic.produce(1000, 1000)
                try await Surroundings.eventually("two members") { try await topic.members(one.group) == 2 ? true : nil }
                try await topic.produce(2000, 1000)
                try await one.committed(try await one.ends(6), first)
                #expect(second.errors.contains("a part of the source is ours"), "\(second.errors)")
                #expect(first.errors.contains("a part of the source is given back"), "\(first.errors)")
                // One is killed: the other takes its partitions over.
                first.send(SIGKILL)
                _ = try await first.wait()
                try await topic.produce(3000, 1000)
                try await two.committed(try await two.ends(6), second)
                // And one comes back, while the other leaves in good order.
                let third = try one.start()
                try await Surroundings.eventually("two members") { try await topic.members(one.group) == 2 ? true : nil }
                second.send(SIGTERM)
                try await topic.produce(4000, 1000)
                #expect(try await second.wait() == .exited(143), "\(second.errors.suffix(2000))")
                try await one.committed(try await one.ends(6), third)
                third.send(SIGTERM)
                #expect(try await third.wait() == .exited(143), "\(third.errors.suffix(2000))")
                let found = try await one.compare()
                #expect(found == Topic.Comparison(rows: 5000, records: 5000, faults: [], partitions: 6, segments: 6))
            }
        }

        @Test("what a group has committed is in the store, at any moment and after any kill")
        func neverAhead() async throws {
            try await Sandbox.run { box in
                var random = SeededRandom(seed: Surroundings.seed)
                let topic = try await Topic(box, partitions: 3)
                var reader = TopicReader(topic, "main", .postgres)
                reader.options += ", instance: one"
                var (kills, produced, looks) = (0, 0, 0)
                while kills < Surroundings.kills {
                    let child = try reader.start()
                    try await topic.produce(produced, 200)
                    produced += 200
                    for isLast in [false, true] {
                        try await Task.sleep(for: .milliseconds(Int64.random(in: 5...500, using: &random)))
                        if isLast { child.send(SIGKILL) }
                        // First what is committed, then what is there: by then it may only be more.
                        let committed = try await topic.committed(reader.group)
                        guard !committed.isEmpty else { continue }
                        let held: [String: Int] = try await topic.python("held", "postgres", reader.place)
                        for (partition, offset) in committed {
                            #expect(held["\(partition)", default: 0] >= offset, "partition \(partition), seed \(Surroundings.seed)")
                        }
                        looks += 1
                    }
                    #expect(try await child.wait() == .killed(SIGKILL), "\(child.errors.suffix(2000))")
                    kills += 1
                }
                try await reader.run(through: try await reader.ends(3))
                let found = try await reader.compare()
                #expect(
                    found == Topic.Comparison(rows: produced, records: produced, faults: [], partitions: 3, segments: 3),
                    "seed \(Surroundings.seed)")
                #expect(looks > 0)
                print("killed a member \(kills) times, looked \(looks) times, \(produced) records, seed \(Surroundings.seed)")
            }
        }

        @Test("records that a store refuses are dead letters, the others and the offsets go on, and a replay brings them when they fit")
        func refused() async throws {
            try await Sandbox.run { box in
                let topic = try await Topic(box, partitions: 2)
                let reader = TopicReader(topic, "main", .postgres)
                try await topic.produce(0, 10)
                try await reader.run(through: try await reader.ends(2))
                _ = try await reader.psql(
                    "ALTER TABLE kafka_records ADD CONSTRAINT few CHECK ((value_json::jsonb->>'number')::int % 10 <> 7 OR record_offset < 5)"
                )
                try await topic.produce(10, 200)
                let child = try reader.start()
                let ends = try await reader.ends(2)
                try await reader.committed(ends, child)
                let lacking = try await reader.compare().faults
                #expect(!lacking.isEmpty && lacking.allSatisfy { $0.hasSuffix("is missing") }, "\(lacking)")
                let listed = try await box.output("dlq", "list", "--json", "--limit", "1000", "-c", reader.config)
                #expect(listed.contains("of kafka_records in store"), "\(listed)")
                _ = try await reader.psql("ALTER TABLE kafka_records DROP CONSTRAINT few")
                let replayed = try await box.sluice("dlq", "replay", "--pipeline", "main", "-c", reader.config)
                #expect(replayed.ending == .exited(0), "\(replayed.errors)")
                let found = try await reader.compare()
                #expect(found.rows == 210 && found.records == 210)
                // What was replayed stands where it was put, not where it would have stood.
                #expect(found.faults.allSatisfy { $0.hasSuffix("stands behind a later record of its key") }, "\(found.faults)")
                child.send(SIGTERM)
                #expect(try await child.wait() == .exited(143), "\(child.errors.suffix(2000))")
                #expect(try await topic.committed(reader.group) == ends)
            }
        }

        @Test("one that was stopped for longer than its session does not write what others read by then, and goes on")
        func asleep() async throws {
            try await Sandbox.run { box in
                let topic = try await Topic(box, partitions: 2)
                let (one, two) = (TopicReader(topic, "one", .postgres), TopicReader(topic, "two", .postgres))
                let first = try one.start()
                try await topic.produce(0, 300)
                try await one.committed(try await one.ends(2), first)
                first.send(SIGSTOP)
                let second = try two.start()
                try await topic.produce(300, 300)
                try await two.committed(try await two.ends(2), second)
                first.send(SIGCONT)
                try await topic.produce(600, 300)
                try await Surroundings.eventually("two members") { try await topic.members(one.group) == 2 ? true : nil }
                try await topic.produce(900, 300)
                try await two.committed(try await two.ends(2), second)
                for child in [first, second] {
                    child.send(SIGTERM)
                    #expect(try await child.wait() == .exited(143), "\(child.errors.suffix(3000))")
                }
                let found = try await one.compare()
                #expect(found == Topic.Comparison(rows: 1200, records: 1200, faults: [], partitions: 2, segments: 2))
            }
        }
    }
}
