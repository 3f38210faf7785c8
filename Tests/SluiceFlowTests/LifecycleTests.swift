import SluiceCore
import SluiceFlow
import Testing

/// What the states of a pipeline mean.
@Suite struct LifecycleTests {
    private static let failure = SluiceError(.init("test"), .pause, "the sink is full")

    private func lifecycle(_ commands: PipelineCommand..., type: PipelineType = .live) throws -> PipelineLifecycle {
        var lifecycle = PipelineLifecycle(type: type)
        for command in commands { try lifecycle.on(command) }
        return lifecycle
    }

    private static func pipeline(_ seed: UInt64) -> PUUID {
        var random = SeededRandom(seed: seed)
        let block = ComponentPID(network: .layer1, pipelineType: .live, kind: .oracle, register: .gethBlock)
        return PUUID(PipelinePID(type: .live, first: block, last: block), using: &random)
    }

    @Test("backfill: what lies between its start and the newest block is read, then it is live")
    func backfill() throws {
        var pipeline = PipelineLifecycle(type: .live)
        #expect(try pipeline.on(.start(hasHistory: true)) == [.begin(.backfill, from: .start)])
        #expect(pipeline.state == .backfill && pipeline.work == .backfill)
        #expect(try pipeline.on(.backfillDone) == [.begin(.live, from: .lastPosition)])
        #expect(pipeline.state == .live && pipeline.work == .live)
    }

    @Test("live: the newest blocks are read")
    func live() throws {
        var pipeline = PipelineLifecycle(type: .live)
        #expect(try pipeline.on(.start(hasHistory: false)) == [.begin(.live, from: .start)])
        #expect(pipeline.state == .live)
    }

    @Test("stopped: nothing is done")
    func stopped() throws {
        var pipeline = try lifecycle(.start(hasHistory: false))
        #expect(try pipeline.on(.stop) == [.end])
        #expect(pipeline.state == .stopped && pipeline.work == nil)
        #expect(PipelineLifecycle(type: .live).state == .stopped, "nor does one that never ran")
    }

    @Test("paused: nothing is done")
    func paused() throws {
        for hasHistory in [true, false] {
            var pipeline = try lifecycle(.start(hasHistory: hasHistory))
            #expect(try pipeline.on(.pause) == [.end])
            #expect(pipeline.state == .paused && pipeline.work == nil)
        }
    }

    @Test("what is paused goes on when it is resumed; what is stopped begins anew, by a restart")
    func pausedIsNotStopped() throws {
        for hasHistory in [true, false] {
            var pipeline = try lifecycle(.start(hasHistory: hasHistory), .pause)
            #expect(try pipeline.on(.pause) == [], "that is so already")
            // Into what it was doing, from where it had come to.
            let work: PipelineWork = hasHistory ? .backfill : .live
            #expect(try pipeline.on(.resume) == [.begin(work, from: .lastPosition)])
            #expect(pipeline.work == work)
            try pipeline.on(.pause)
            try pipeline.on(.stop)
            try mustBeRestarted(pipeline)
        }
    }

    @Test("error: nothing is done, and all its components end")
    func error() throws {
        var pipeline = try lifecycle(.start(hasHistory: true))
        #expect(try pipeline.on(.fail(Self.failure)) == [.end])
        #expect(pipeline.state == .error && pipeline.work == nil)
        #expect(pipeline.failure?.description == "the sink is full")
        #expect(try pipeline.on(.fail(SluiceError(.init("later"), .fatal, "the channel is gone"))) == [])
        #expect(pipeline.failure?.description == "the sink is full", "the first failure is the reason, the next its consequence")
    }

    @Test("what has failed goes on when it is resumed; what is stopped begins anew, by a restart")
    func errorIsNotStopped() throws {
        for hasHistory in [true, false] {
            var pipeline = try lifecycle(.start(hasHistory: hasHistory), .fail(Self.failure))
            let work: PipelineWork = hasHistory ? .backfill : .live
            #expect(try pipeline.on(.resume) == [.begin(work, from: .lastPosition)])
            #expect(pipeline.work == work && pipeline.failure == nil)
            try pipeline.on(.fail(Self.failure))
            try pipeline.on(.stop)
            try mustBeRestarted(pipeline)
        }
    }

    private func mustBeRestarted(_ stopped: PipelineLifecycle) throws {
        var pipeline = stopped
        for command in [PipelineCommand.resume, .start(hasHistory: true), .start(hasHistory: false)] {
            let error = #expect(throws: SluiceError.self) { try pipeline.on(command) }
            #expect(
                error?.description
                    == "the pipeline is stopped, \(command.name.rawValue) is refused: it was stopped and must be restarted (allowed now: restart)"
            )
        }
        #expect(try pipeline.on(.restart(hasHistory: true)) == [.begin(.backfill, from: .start)])
    }

    @Test("what failed while it was paused shows: what had been read was still on its way")
    func failureWhilePausing() throws {
        let pipeline = try lifecycle(.start(hasHistory: false), .pause, .fail(Self.failure))
        #expect(pipeline.state == .error)
    }

    @Test("a restart ends what runs, and looks anew whether there is history to read")
    func restart() throws {
        var pipeline = try lifecycle(.start(hasHistory: false))
        #expect(try pipeline.on(.restart(hasHistory: true)) == [.end, .begin(.backfill, from: .start)])
        #expect(pipeline.state == .backfill)
    }

    @Test("a backtest stops where its range ends")
    func backtest() throws {
        for hasHistory in [true, false] {
            var pipeline = PipelineLifecycle(type: .backtest)
            #expect(try pipeline.on(.start(hasHistory: hasHistory)) == [.begin(.backfill, from: .start)])
            #expect(try pipeline.on(.backfillDone) == [.end])
            #expect(pipeline.state == .stopped)
        }
    }

    @Test("of two pipelines that do the same one is merged into the other, unless it performs a backtest or a backfill")
    func merge() throws {
        let other = Self.pipeline(1)
        var pipeline = try lifecycle(.start(hasHistory: true))
        var error = #expect(throws: SluiceError.self) { try pipeline.on(.merged(into: other)) }
        #expect(error?.description.contains("it still reads history") ?? false)
        try pipeline.on(.backfillDone)
        // Its loops end, then what it shared goes to the other one.
        #expect(try pipeline.on(.merged(into: other)) == [.end, .handOver(to: other)])
        #expect(pipeline.state == .stopped && pipeline.commands.isEmpty)
        #expect(try pipeline.on(.merged(into: other)) == [] && pipeline.on(.stop) == [])
        error = #expect(throws: SluiceError.self) { try pipeline.on(.restart(hasHistory: false)) }
        #expect(
            error?.description
                == "the pipeline is stopped, restart is refused: it was merged into \(other) (nothing can be done with it any more)")
        var backtest = try lifecycle(.start(hasHistory: true), type: .backtest)
        #expect(throws: SluiceError.self) { try backtest.on(.merged(into: other)) }
    }
}
