import Foundation
import Glibc
import SluiceCore
import SluiceSimulator
import SluiceStore
import Testing

extension EndToEnd {
    /// What `sluice status` says is missing.
    @Suite struct Status {
        private struct Report: Decodable {
            struct Gap: Decodable, Equatable {
                let first: UInt64
                let last: UInt64
                let blocks: UInt64
                let kind: String
                let sinks: [String]
                let since: String?
            }
            struct Pipeline: Decodable {
                struct Letters: Decodable {
                    let open: Int
                    let reasons: [String: Int]
                }
                let state: String
                let gaps: [Gap]
                let deadLetters: Letters
            }
            let pipelines: [Pipeline]
        }

        private static func report(_ box: Sandbox) async throws -> Report.Pipeline {
            let text = try await box.output("status", "-c", "main.yaml", "--json")
            return try #require(try Surroundings.decoded(Report.self, text).pipelines.first)
        }

        private static func gap(_ range: ClosedRange<UInt64>, _ kind: String, _ sinks: [String], since: String? = nil) -> Report.Gap {
            Report.Gap(
                first: range.lowerBound, last: range.upperBound, blocks: UInt64(range.count), kind: kind, sinks: sinks, since: since)
        }

        private static let stream = StreamID(pipeline: "main", chainID: 1337)

        /// A pipeline from block 1,000 on into both kinds of sinks, and a state file.
        private static func prepare(_ box: Sandbox, _ body: (StateStore) async throws -> Void) async throws {
            var place = Workplace(box, "main", port: 1, kinds: Workplace.Kind.embedded)
            place.start = "1000"
            try place.write()
            let store = try await StateStore.open(box.path("main.state"), clock: { 1_700_000_000_000_000 })
            try await body(store)
            await store.close()
        }

        private static func segment(_ range: ClosedRange<UInt64>) -> Segment {
            Segment(first: range.lowerBound, last: BlockRef(number: range.upperBound, hash: .zero))
        }

        @Test("holes come from what the run told and what sinks keep in the state file, each with the sinks that lack it")
        func holes() async throws {
            try await Sandbox.run { box in
                try await Self.prepare(box) { store in
                    try await store.setCoverage(["tables": [1000...1499, 1600...2000], "lake": [7...8]], of: "main")
                    // What the sink itself keeps counts, not what was told of it.
                    try await store.setSegments([Self.segment(1100...1899)], of: Self.stream, sink: "lake")
                    try await store.setStatus(
                        RunStatus(pipeline: "main", chainID: 1337, state: "stopped", head: 2010, finalized: 1950, position: 1899))
                    try await store.keep(
                        [
                            DeadLetter(
                                register: "logs", row: "log 1", block: BlockRef(number: 1, hash: .zero), reason: "bad", message: "",
                                payload: "")
                        ], of: Self.stream)
                }
                let report = try await Self.report(box)
                #expect(
                    report.gaps == [
                        Self.gap(1000...1099, "hole", ["lake"]),
                        Self.gap(1500...1599, "hole", ["tables"], since: "2023-11-14T22:13:20Z"),
                        Self.gap(1900...1950, "ahead", ["lake"]), Self.gap(2001...2010, "ahead", ["tables"]),
                    ])
                #expect(report.deadLetters.open == 1 && report.deadLetters.reasons == ["bad": 1])
                let text = try await box.output("status", "-c", "main.yaml")
                #expect(
                    text.contains(
                        "  gap 1,000 to 1,099 in lake: sluice backfill --from 1000 --to 1099 main fills it\n  gap 1,500 to 1,599 in tables, known for "
                    ),
                    "\(text)")
                #expect(!text.contains("1,900 to 1,950"))
                #expect(text.contains("dead letters bad 1: sluice dlq list --pipeline main shows them"))
            }
        }

        @Test("a pipeline that never ran has no gaps, and one without a hole none that somebody must fill")
        func none() async throws {
            try await Sandbox.run { box in
                try await Self.prepare(box) { _ in }
                #expect(try await Self.report(box).gaps == [])
                #expect(try await Self.report(box).state == "never run")
                let store = try await StateStore.open(box.path("main.state"))
                try await store.setCoverage(["tables": [1000...1200]], of: "main")
                await store.close()
                // The lake has nothing, and whether anything is final nobody knows.
                #expect(try await Self.report(box).gaps == [])
                #expect(try await !box.output("status", "-c", "main.yaml").contains("gap"))
            }
        }

        @Test("a run that is alive speaks for its sinks: their files are not opened")
        func alive() async throws {
            try await Sandbox.run { box in
                try await Self.prepare(box) { _ in }
                // No database at all: opening it would be a warning.
                try Surroundings.write("this is no database", to: box.path("main.duckdb"))
                let store = try await StateStore.open(box.path("main.state"))
                try await store.setCoverage(["tables": [1000...1200, 1300...1400], "lake": [1000...1100]], of: "main")
                try await store.setStatus(
                    RunStatus(pipeline: "main", chainID: 1337, state: "live", head: 1400, finalized: 1100, position: 1100))
                let child = try box.start(["status", "-c", "main.yaml", "--json"])
                #expect(try await child.wait() == .exited(0))
                #expect(child.errors.isEmpty, "\(child.errors)")
                let report = try #require(try Surroundings.decoded(Report.self, child.output).pipelines.first)
                #expect(report.gaps.map(\.first) == [1201] && report.state == "live")
                // Once it has stopped, the file must answer; when it cannot, what was told still stands. While a process has the state file,
                // it may be about to open the others.
                try await store.setStatus(RunStatus(pipeline: "main", chainID: 1337, state: "stopped", head: 1400, finalized: 1100))
                #expect(try await !box.sluice("status", "-c", "main.yaml").errors.contains("warning"))
                await store.close()
                // The process that had it is this one, which lives on.
                unlink(box.path("main.state.lock"))
                let again = try box.start(["status", "-c", "main.yaml", "--json"])
                #expect(try await again.wait() == .exited(0))
                #expect(again.errors.contains("warning: main.duckdb"), "\(again.errors)")
                #expect(try Surroundings.decoded(Report.self, again.output).pipelines.first?.gaps.map(\.first) == [1201])
            }
        }

        @Test("the hole between two backfills is listed, and gone when it is filled")
        func filled() async throws {
            try await Sandbox.run { box in
                try await Chain.serving(Chain.options(blocks: 60)) { _, port in
                    let place = Workplace(box, "main", port: port)
                    try await place.backfill(Chain.first...(Chain.first + 9))
                    try await place.backfill((Chain.first + 20)...(Chain.first + 29))
                    let gap = try #require(try await Self.report(box).gaps.first)
                    #expect(gap == Self.gap((Chain.first + 10)...(Chain.first + 19), "hole", ["tables"], since: gap.since))
                    #expect(gap.since != nil)
                    try await place.backfill(gap.first...gap.last)
                    #expect(try await Self.report(box).gaps.filter { $0.kind == "hole" } == [])
                }
            }
        }

        @Test("beside a run, what its sinks hold is told by the run itself, as it changes")
        func besideRun() async throws {
            try await Sandbox.run { box in
                var generator = Chain.options(blocks: 60)
                generator.blockTime = .milliseconds(200)
                generator.until = Chain.first + 75
                try await Chain.serving(generator) { simulator, port in
                    var place = Workplace(box, "main", port: port, kinds: Workplace.Kind.embedded)
                    try await place.backfill(Chain.first...(Chain.first + 9))
                    try await place.backfill((Chain.first + 20)...(Chain.first + 29))
                    // With this a run goes on where its sinks end, and leaves the hole alone.
                    place.start = "latest"
                    let child = try place.startRun()
                    let hole = (Chain.first + 10)...(Chain.first + 19)
                    let last = Chain.first + 75
                    // The store of the sink is not asked: this process alone has it.
                    let store = try await StateStore.openReadOnly(box.path("main.state"))
                    let told = try await Surroundings.eventually("a run that tells of its last block") {
                        let told = try await store.coverage().filter { $0.sink == "tables" }
                        return told.last?.last == last ? told : nil
                    }
                    #expect(told.map { $0.first...$0.last } == [Chain.first...(Chain.first + 9), (Chain.first + 20)...last])
                    try await Surroundings.eventually("a run that has seen the last block") {
                        try await store.statuses().first?.head == last ? true : nil
                    }
                    let report = try await Self.report(box)
                    #expect(report.state == "live")
                    #expect(
                        report.gaps.filter { $0.kind == "hole" } == [
                            Self.gap(hole, "hole", ["tables", "lake"], since: report.gaps[0].since)
                        ])
                    // The lake's last file is not whole yet; the other one has everything.
                    #expect(report.gaps.filter { $0.sinks.contains("tables") }.count == 1, "\(report.gaps)")
                    #expect(report.gaps[0].since != nil)
                    child.send(SIGTERM)
                    #expect(try await child.wait() == .exited(143), "\(child.errors)")
                    #expect(try await store.coverage().filter { $0.sink == "tables" }.map(\.last) == told.map(\.last))
                    await store.close()
                    // Filled while nothing else runs, it is gone, also for whoever looks at the state file alone.
                    try await place.backfill(hole)
                    #expect(try await Self.report(box).gaps.filter { $0.kind == "hole" } == [])
                    let after = try await StateStore.openReadOnly(box.path("main.state"))
                    #expect(try await after.coverage().filter { $0.sink == "tables" }.map { $0.first...$0.last } == [Chain.first...last])
                    await after.close()
                }
            }
        }

        @Test("a run that finds a store open to somebody who only looks waits until he has looked")
        func looked() async throws {
            try await Sandbox.run { box in
                try await Chain.serving(Chain.options(blocks: 60)) { _, port in
                    let place = Workplace(box, "main", port: port)
                    try await place.backfill(Chain.first...(Chain.first + 9))
                    let holder = try box.startPython("stores.py", ["hold", place.database])
                    _ = try await holder.line(beginning: "held")
                    let child = try place.startRun("--until-block", "\(Chain.first + 19)")
                    try await Task.sleep(for: .milliseconds(300))
                    holder.send(SIGTERM)
                    #expect(try await child.wait() == .exited(0), "\(child.errors)")
                }
            }
        }
    }
}
