import SluiceCore
import Synchronization
import Testing

@testable import SluiceFlow

@Suite("Lanes", .timeLimit(.minutes(1))) struct LaneTests {
    private let chain = ManagedChain(more: ["c": FakeSink(), "d": FakeSink()])
    private var sinks: [FakeSink] { ["a", "b"].compactMap { chain.sinks[$0] } + ["c", "d"].compactMap { chain.more[$0] as? FakeSink } }
    private static let lost = SluiceError(.init("fake"), .retry, "the connection is lost")
    private static let broken = SluiceError(.init("fake"), .data, "the sink is broken")

    private func request(start: UInt64? = 0) -> PipelineRequest { chain.request("p", start: start, sinks: ["a", "b", "c", "d"]) }

    @Test("of four sinks one that is away for a while stops no other, and catches up when it is back: nothing is missing, nothing twice")
    func away() async throws {
        let manager = try chain.manager()
        try await working(manager) {
            let puuid = try await manager.create(request())
            try await eventually("it is live") {
                await manager.state(of: puuid) == .live && sinks.allSatisfy { $0.rows.count == 101 }
            }
            sinks[1].state.withLock { ($0.failAt, $0.failure, $0.refusal) = (0, Self.lost, Self.lost) }
            chain.oracle.grow(20)
            try await eventually("the others go on") { [0, 2, 3].allSatisfy { sinks[$0].rows.count == 121 } }
            try await eventually("it says what is wrong") {
                await manager.pipeline(puuid)?.progress.trouble == "sink b: the connection is lost"
            }
            let attempts = sinks[1].state.withLock { $0.opened }
            try await eventually("it is tried again") { sinks[1].state.withLock { $0.opened } > attempts }
            chain.oracle.grow(20)
            try await eventually("the others still go on") { [0, 2, 3].allSatisfy { sinks[$0].rows.count == 141 } }
            #expect(sinks[1].rows.count == 101)
            #expect(await manager.state(of: puuid) == .live)
            sinks[1].state.withLock { $0.refusal = nil }
            try await eventually("it catches up") { sinks[1].rows.count == 141 }
            chain.oracle.grow(1)
            try await eventually("all are together again") { sinks.allSatisfy { $0.rows.count == 142 } }
            try await eventually("and nothing is wrong") { await manager.pipeline(puuid)?.progress.trouble == nil }
            #expect(await manager.pipeline(puuid)?.progress.rows["rows"] == 142, "rows are counted once, whatever the number of sinks")
        }
        #expect(sinks.allSatisfy { $0.rows == chain.oracle.rows(0...141) && $0.segments.count == 1 })
        #expect(sinks.allSatisfy { sink in Set(sink.writes.map(\.lowerBound)).count == sink.writes.count })
    }

    @Test("a sink that cannot be opened at first fails its pipeline, unless it may be away then")
    func startup() async throws {
        sinks[1].state.withLock { $0.refusal = Self.lost }
        let manager = try chain.manager()
        try await working(manager) {
            let puuid = try await manager.create(request())
            try await eventually("it failed") { await manager.state(of: puuid) == .error }
            #expect(await manager.pipeline(puuid)?.failure?.message == Self.lost.message)
            sinks[1].state.withLock { $0.refusal = nil }
            try await manager.resume(puuid)
            try await eventually("it is complete") { sinks.allSatisfy { $0.rows.count == 101 } }
        }
    }

    @Test("a sink that may be away at first is filled when it comes, and the others do not wait for it")
    func waiting() async throws {
        sinks[1].state.withLock { $0.refusal = Self.lost }
        let manager = try chain.manager(startup: ["b": .wait])
        try await working(manager) {
            // The head is where it began for the others: that is where it begins for this one.
            let puuid = try await manager.create(request(start: nil))
            try await eventually("the others are live") {
                await manager.state(of: puuid) == .live && [0, 2, 3].allSatisfy { sinks[$0].rows.count == 1 }
            }
            chain.oracle.grow(30)
            try await eventually("they go on") { [0, 2, 3].allSatisfy { sinks[$0].rows.count == 31 } }
            sinks[1].state.withLock { $0.refusal = nil }
            try await eventually("it has what they have") { sinks[1].rows.count == 31 }
        }
        #expect(sinks.allSatisfy { $0.rows == chain.oracle.rows(100...130) })
    }

    @Test("a sink that fails for good fails its pipeline when the others have all that they should")
    func broken() async throws {
        sinks[2].state.withLock { ($0.failAt, $0.failure) = (30, Self.broken) }
        let manager = try chain.manager(until: 100)
        try await working(manager) {
            let puuid = try await manager.create(request())
            try await eventually("it failed") { await manager.state(of: puuid) == .error }
            #expect(await manager.pipeline(puuid)?.failure?.message == Self.broken.message)
            #expect([0, 1, 3].allSatisfy { sinks[$0].rows.count == 101 } && sinks[2].rows.count < 30)
        }
    }

    @Test("a pipeline that begins at a head behind its last block is refused: it would wait for ever")
    func behindItsEnd() async throws {
        let manager = try chain.manager(until: 60)
        try await working(manager) {
            let puuid = try await manager.create(request(start: nil))
            try await eventually("it failed") { await manager.state(of: puuid) == .error }
            #expect(await manager.pipeline(puuid)?.failure?.code == .beyondUntil)
            #expect(sinks.allSatisfy { $0.rows.isEmpty })
        }
    }

    @Test("it waits longer after each failure that follows another, and anew once something was made durable")
    func pauses() {
        var retry = SinkRetry()
        let first = (0..<8).map { _ in retry.pause(after: Self.lost, worked: false) }
        #expect(first == [0.5, 1, 2, 4, 8, 16, 30, 30].map { Duration.seconds($0) })
        #expect(retry.pause(after: Self.lost, worked: true) == .milliseconds(500))
        let full = SluiceError(.init("full"), .pause, "the disk is full")
        #expect((0..<5).map { _ in retry.pause(after: full, worked: false) } == [5, 10, 20, 40, 60].map { Duration.seconds($0) })
        #expect(retry.pause(after: Self.broken, worked: false) == nil)
        #expect(retry.pause(after: CancellationError(), worked: false) == nil)
    }
}
