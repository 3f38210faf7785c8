import Glibc
import SluiceCore
import SluiceSimulator
import Testing

extension EndToEnd {
    /// Ranges in any order, sinks that come later, two programs at once: no row twice, no hole.
    @Suite(.needsReaders) struct Resume {
        @Test(
            "backfills of ranges that overlap, touch and hold each other make each row once",
            arguments: [
                [0...49, 30...99], [50...99, 0...49], [0...99, 20...40], [20...40, 0...99], [0...20, 60...99, 10...70],
                [90...99, 0...9, 0...99],
            ])
        func ranges(_ offsets: [ClosedRange<UInt64>]) async throws {
            try await Sandbox.run { box in
                try await Chain.serving(Chain.options(blocks: 140)) { _, port in
                    let clean = Workplace(box, "clean", port: port, kinds: Workplace.Kind.embedded)
                    try await clean.backfill(Chain.blocks(100))
                    let place = Workplace(box, "main", port: port, kinds: Workplace.Kind.embedded)
                    for range in offsets { try await place.backfill((Chain.first + range.lowerBound)...(Chain.first + range.upperBound)) }
                    for kind in Workplace.Kind.embedded {
                        let tables = try await place.tables(kind)
                        tables.expectWhole(Chain.blocks(100))
                        #expect(try await clean.tables(kind) == tables, "\(kind)")
                    }
                }
            }
        }

        @Test("a live run after backfills fills the hole between them and goes on")
        func liveAfterBackfill() async throws {
            try await Sandbox.run { box in
                try await Chain.serving(Chain.options(blocks: 140)) { _, port in
                    let place = Workplace(box, "main", port: port)
                    try await place.backfill((Chain.first + 20)...(Chain.first + 39))
                    try await place.backfill((Chain.first + 70)...(Chain.first + 89))
                    try await place.run(until: Chain.first + 139)
                    try await place.tables(.duckdb).expectWhole(Chain.blocks(140))
                }
            }
        }

        @Test("a sink that is added later gets all that the others have, and they get nothing twice")
        func secondSink() async throws {
            try await Sandbox.run { box in
                try await Chain.serving(Chain.options(blocks: 140)) { simulator, port in
                    var place = Workplace(box, "main", port: port)
                    try await place.run(until: Chain.first + 99)
                    let before = try await place.tables(.duckdb)
                    before.expectWhole(Chain.blocks(100))
                    place.kinds = Workplace.Kind.embedded
                    try await place.run(until: Chain.first + 99)
                    #expect(try await place.tables(.duckdb) == before)
                    try await place.tables(.parquet).expectWhole(Chain.blocks(100))
                    try await place.run(until: Chain.first + 139)
                    try await place.tables(.duckdb).expectWhole(Chain.blocks(140))
                    try await place.tables(.parquet).expectFinal(from: Chain.first, finalized: simulator.finalized)
                }
            }
        }

        @Test("a second program on the same state is refused and told the first one's process id")
        func twoPrograms() async throws {
            try await Sandbox.run { box in
                try await Chain.serving(Chain.options(blocks: 40)) { simulator, port in
                    let place = Workplace(box, "main", port: port)
                    let first = try place.startRun()
                    try await Surroundings.eventually("the first one's requests") {
                        simulator.statistics.calls["eth_getBlockReceipts", default: 0] > 0 ? true : nil
                    }
                    let second = try place.startBackfill(Chain.blocks(10))
                    #expect(try await second.wait() == .exited(75), "\(second.errors)")
                    #expect(second.errors.contains("\(first.pid)"), "\(second.errors)")
                    first.send(SIGTERM)
                    _ = try await first.wait()
                    try await place.run(until: Chain.first + 39)
                    try await place.tables(.duckdb).expectWhole(Chain.blocks(40))
                }
            }
        }
    }
}
