import Glibc
import SluiceTestKit
import Testing

extension EndToEnd {
    /// What is said when a topic cannot be read as it should.
    @Suite(.needsReaders, .enabled(if: TestServices.hasKafkaReader, "kcat is not installed"))
    struct KafkaTrouble {
        @Test("records that were deleted before they were read are an error with their offsets, or a gap that stays visible")
        func lost() async throws {
            try await Sandbox.run { box in
                let topic = try await Topic(box, partitions: 1)
                var reader = TopicReader(topic, "main", .duckdb)
                try await topic.produce(0, 100)
                try await reader.run(through: [0: 100])
                try await topic.produce(100, 100)
                try await topic.tell("expire", topic.name, "0", "150")
                let child = try reader.start()
                let ending = try await child.wait()
                #expect(ending != .exited(0))
                #expect(
                    child.errors.contains("begins at offset 150: records 100 to 149 were deleted before they were read"), "\(child.errors)")
                #expect(child.errors.contains("on_loss: continue"))
                reader.options += ", on_loss: continue"
                try await reader.run(through: [0: 200])
                let found = try await reader.compare()
                // The first hundred are only in the store by now.
                #expect(found.rows == 150 && found.segments == 2)
                #expect(found.faults.allSatisfy { $0.hasSuffix("was never committed") }, "\(found.faults)")
                let status = try await box.output("status", "-c", reader.config)
                #expect(status.contains("offsets 0 to 99, 150 to 199"), "\(status)")
                #expect(status.contains("100 to 149"), "\(status)")
            }
        }

        @Test("a topic that was made anew is not taken for the old one")
        func anew() async throws {
            try await Sandbox.run { box in
                let topic = try await Topic(box, partitions: 1)
                let reader = TopicReader(topic, "main", .duckdb)
                try await topic.produce(0, 100)
                try await reader.run(through: [0: 100])
                try await topic.tell("make", topic.name, "1")
                try await topic.produce(0, 40)
                let child = try reader.start()
                #expect(try await child.wait() != .exited(0))
                #expect(child.errors.contains("ends at offset 40, but its records up to 99 are there already"), "\(child.errors)")
            }
        }

        @Test("a topic that is not there, and credentials that are not taken, are said at once")
        func refused() async throws {
            try await Sandbox.run { box in
                let topic = try await Topic(box, partitions: 1)
                var reader = TopicReader(topic, "main", .duckdb)
                reader.topicName = "nowhere"
                let absent = try reader.start()
                #expect(try await absent.wait() != .exited(0))
                #expect(absent.errors.contains("there is no topic nowhere at \(topic.brokers)"), "\(absent.errors)")
                reader.topicName = nil
                reader.options = "security: sasl_plaintext, user: u, password: not-to-be-shown, timeout: 2s"
                try reader.write()
                let refused = try await box.sluice("validate", "-c", reader.config, "--connect")
                #expect(refused.ending != .exited(0))
                #expect(!refused.errors.contains("not-to-be-shown"))
            }
        }

        @Test("brokers that are away are waited for, and stopping does not wait for them")
        func away() async throws {
            try await Sandbox.run { box in
                let own = try #require(Surroundings.services(["kafka"]))
                defer { own.stop() }
                let topic = try await Topic(box, partitions: 2, own: own)
                let reader = TopicReader(topic, "main", .duckdb)
                try await topic.produce(0, 100)
                let child = try reader.start()
                try await reader.committed(try await reader.ends(2), child)
                try await topic.tell("down")
                // For longer than a session, so that nobody has the partitions any more.
                try await Surroundings.eventually("an empty group") {
                    try await topic.tell("group", reader.group).hasPrefix("empty") ? true : nil
                }
                try await topic.tell("up")
                try await topic.produce(100, 100)
                try await reader.committed(try await reader.ends(2), child)
                child.send(SIGTERM)
                #expect(try await child.wait() == .exited(143))
                #expect(try await reader.compare().faults == [])
                #expect(try await reader.compare().rows == 200)
                try reader.write()
                let text = Surroundings.text(of: box.path(reader.config))
                try Surroundings.write(text.replacing(topic.brokers, with: "127.0.0.1:1"), to: box.path("away.yaml"))
                let lonely = try box.start(["run", "-c", "away.yaml"])
                try await Surroundings.eventually("trouble") {
                    lonely.errors.contains("the source cannot be joined; trying again") ? true : nil
                }
                lonely.send(SIGTERM)
                #expect(try await lonely.wait(limit: .seconds(30)) == .exited(143), "\(lonely.errors)")
            }
        }

        @Test("ranges of blocks are refused, with what to do instead")
        func ranges() async throws {
            try await Sandbox.run { box in
                let reader = TopicReader(try await Topic(box, partitions: 1), "main", .duckdb)
                try reader.write()
                for words in [
                    ["backfill", "--from", "0", "--to", "9"], ["backfill", "--from", "0", "--to", "9", "main"],
                    ["backtest", "main", "--from", "0", "--to", "9", "--discard"], ["run", "--until-block", "9"],
                ] {
                    let child = try box.start([words[0], "-c", reader.config] + words.dropFirst())
                    #expect(try await child.wait() == .exited(2), "\(words): \(child.errors)")
                    #expect(child.errors.contains("counts its offsets by itself"), "\(words): \(child.errors)")
                }
            }
        }
    }
}
