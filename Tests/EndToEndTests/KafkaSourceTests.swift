import Glibc
import SluiceCore
import SluiceTestKit
import Testing

extension EndToEnd {
    /// Topics read by groups, by the real program, held against what kcat reads of them.
    @Suite(.needsReaders, .enabled(if: TestServices.hasKafkaReader, "kcat is not installed"))
    struct KafkaSource {
        @Test("all records are there, as they are, and the group is told how far that is", arguments: TopicReader.kinds)
        func everything(_ kind: TopicReader.Kind) async throws {
            try await Sandbox.run { box in
                let topic = try await Topic(box, partitions: 4)
                let reader = TopicReader(topic, "main", kind)
                let _: String? = try await topic.python("odd", topic.brokers, topic.name)
                try await topic.produce(0, 2000)
                let ends = try await reader.ends(4)
                try await reader.run(through: ends)
                #expect(try await topic.committed(reader.group) == ends)
                var found = try await reader.compare()
                #expect(found == Topic.Comparison(rows: 2006, records: 2006, faults: [], partitions: 4, segments: 4))
                // What comes later is read by the next run alone, from where the store ends.
                try await topic.produce(2000, 500)
                try await reader.run(through: try await reader.ends(4))
                found = try await reader.compare()
                #expect(found == Topic.Comparison(rows: 2506, records: 2506, faults: [], partitions: 4, segments: 4))
            }
        }

        @Test("values stand in the column that they fit, and always as bytes")
        func columns() async throws {
            try await Sandbox.run { box in
                let topic = try await Topic(box, partitions: 1)
                let reader = TopicReader(topic, "main", .duckdb)
                let _: String? = try await topic.python("odd", topic.brokers, topic.name)
                try await reader.run(through: [0: 6])
                let said = try await box.output(
                    "query", "-c", reader.config, "--format", "csv",
                    "SELECT record_offset, value_text, value_json, headers, value IS NULL AS gone, key_text FROM kafka_records ORDER BY 1")
                let lines = said.split(whereSeparator: \.isNewline).map(String.init)
                try #require(lines.count == 7, "\(said)")
                #expect(
                    lines[1].hasPrefix("0,plain text,,") && lines[1].contains("\"\"key\"\":\"\"a\"\",\"\"value\"\":\"\"2\"\""),
                    "\(lines[1])")
                #expect(lines[2].contains("2.50") && lines[2].hasPrefix("1,,"), "\(lines[2])")
                #expect(lines[3].hasPrefix("2,,,") && lines[4].hasPrefix("3,,,"), "\(lines)")
                #expect(lines[5].hasPrefix("4,\"\"\"\\u0000\"\"\",,"), "\(lines[5])")
                #expect(lines[6].contains("true"), "\(lines[6])")
                #expect(try await reader.compare().faults == [])
            }
        }

        @Test("what was aborted, or is not committed yet, is never there")
        func transactions() async throws {
            try await Sandbox.run { box in
                let topic = try await Topic(box, partitions: 2)
                let reader = TopicReader(topic, "main", .duckdb)
                try await topic.produce(0, 100)
                let _: String? = try await topic.python("transaction", topic.brokers, topic.name, "1000", "300", "abort")
                let child = try reader.start()
                // The transaction is open: what stands behind it waits.
                try await reader.committed([:], child)
                let _: String? = try await topic.python("transaction", topic.brokers, topic.name, "2000", "200", "commit")
                try await topic.produce(3000, 50)
                try await reader.committed(try await reader.ends(2), child)
                child.send(SIGTERM)
                #expect(try await child.wait() == .exited(143), "\(child.errors)")
                let found = try await reader.compare()
                #expect(found == Topic.Comparison(rows: 350, records: 350, faults: [], partitions: 2, segments: 2))
                // Marks of transactions are offsets, too: no hole is left for the next run.
                let ends = try await reader.ends(2)
                #expect(ends.values.reduce(0, +) > 352, "nothing was aborted")
                #expect(try await topic.committed(reader.group) == ends)
            }
        }

        @Test("killed again and again while records come, the store has each once and in order")
        func killed() async throws {
            try await Sandbox.run { box in
                var random = SeededRandom(seed: Surroundings.seed)
                let topic = try await Topic(box, partitions: 3)
                var reader = TopicReader(topic, "main", .duckdb)
                // It comes back under its name, so that nobody waits for the one that was killed.
                reader.options += ", instance: one"
                var (kills, produced) = (0, 0)
                while kills < Surroundings.kills {
                    let child = try reader.start()
                    try await topic.produce(produced, 150)
                    produced += 150
                    try await Task.sleep(for: .milliseconds(Int64.random(in: 5...900, using: &random)))
                    child.send(SIGKILL)
                    #expect(try await child.wait() == .killed(SIGKILL), "\(child.errors.suffix(2000))")
                    kills += 1
                }
                try await reader.run(through: try await reader.ends(3))
                let found = try await reader.compare()
                #expect(
                    found == Topic.Comparison(rows: produced, records: produced, faults: [], partitions: 3, segments: 3),
                    "seed \(Surroundings.seed)")
                print("killed a reader of a topic \(kills) times, \(produced) records, seed \(Surroundings.seed)")
            }
        }
    }
}

extension TopicReader {
    /// Stores that can be had.
    static let kinds: [Kind] = [.duckdb] + (Surroundings.postgres == nil ? [] : [.postgres])
}
