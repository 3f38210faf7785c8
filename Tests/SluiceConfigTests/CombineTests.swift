import SluiceConfig
import SluiceCore
import Testing

/// Pipelines that combine streams, and what happens when a sink is slow.
@Suite struct CombineTests {
    private static let catalog = ConfigCatalog(
        sinkSpecs: ["duckdb": ObjectSpec("", [FieldSpec("path", .path, "The file.", required: true)])],
        registers: ["blocks", "block_bundles"], aggregators: ["block_bundles"], tables: { [$0] })

    /// A configuration with one pipeline, given by its fields.
    private func load(_ pipeline: String) throws(ConfigError) -> PipelineSettings? {
        let text = """
            networks:
              ethereum: { endpoints: ["http://127.0.0.1:1"] }
              base: { endpoints: ["http://127.0.0.1:2"] }
              arbitrum: { endpoints: ["http://127.0.0.1:3"] }
            sinks:
              w: { type: duckdb, path: w.duckdb }
              v: { type: duckdb, path: v.duckdb }
            pipelines:
              p: \(pipeline)

            """
        return try SluiceConfiguration.load(text: text, file: "sluice.yaml", catalog: Self.catalog, environment: .fixed([:])).pipelines
            .first
    }

    private func combining(_ policy: String, streams: String = "[{ network: ethereum }, { network: base, start: 7 }]") -> String {
        "{ register: block_bundles, combine: { streams: \(streams), \(policy) }, sinks: [w] }"
    }

    @Test(
        "each policy can be said",
        arguments: [
            ("policy: aligned_by_height", .alignedByHeight()),
            ("policy: latest_of_each, timeout: 5s", .latestOfEach(timeout: .emitPartial(after: .seconds(5)))),
            ("policy: aligned_by_time, tolerance: 12s", .alignedByTime(tolerance: 12)),
            ("policy: window, every: 1m, timeout: 90s, on_timeout: skip", .window(seconds: 60, timeout: .skip(after: .seconds(90)))),
            ("policy: on_update, trigger: base", .onUpdate(of: 1, others: [.any])),
            (
                "policy: on_update, trigger: ethereum, others: at_most_one, timeout: 500ms, on_timeout: fail",
                .onUpdate(of: 0, others: [.atMostOne], timeout: .fail(after: .milliseconds(500)))
            ),
        ] as [(String, SynchronizationPolicy)])
    func policies(_ text: String, _ policy: SynchronizationPolicy) throws {
        let pipeline = try #require(try load(combining(text)))
        #expect(pipeline.synchronization == policy && pipeline.networks == ["ethereum", "base"])
        #expect(pipeline.streams.map(\.start) == [.latest, .block(7)])
        // What is kept of it can be read back.
        #expect(SynchronizationPolicy("\(policy)") == policy)
    }

    @Test(
        "what does not go together is said at its place, with the mend",
        arguments: [
            ("{ register: block_bundles, network: base, sinks: [w] }", "needs \"combine\""),
            ("{ register: blocks, sinks: [w] }", "missing \"network\""),
            ("{ register: blocks, combine: { streams: [{ network: base }], policy: latest_of_each }, sinks: [w] }", "combines streams"),
            (
                "{ registers: [block_bundles, blocks], combine: { streams: [{ network: base }], policy: latest_of_each }, sinks: [w] }",
                "no other"
            ),
            (
                "{ register: block_bundles, network: base, combine: { streams: [{ network: base }], policy: latest_of_each }, sinks: [w] }",
                "p.network: there is \"combine\""
            ),
            (
                "{ register: block_bundles, start: 5, combine: { streams: [{ network: base }], policy: latest_of_each }, sinks: [w] }",
                "p.start: there is \"combine\""
            ),
            (
                "{ register: block_bundles, combine: { streams: [{ network: bsae }], policy: latest_of_each }, sinks: [w] }",
                "did you mean \"base\""
            ),
            (
                "{ register: block_bundles, combine: { streams: [{ network: base }, { network: base }], policy: latest_of_each }, sinks: [w] }",
                "streams[1]: the network \"base\" is there twice"
            ),
            ("{ register: block_bundles, combine: { streams: [], policy: latest_of_each }, sinks: [w] }", "streams"),
            ("{ register: block_bundles, combine: { streams: [{ network: base }], policy: sometimes }, sinks: [w] }", "policy"),
            ("{ register: block_bundles, combine: { streams: [{ network: base }], policy: on_update }, sinks: [w] }", "needs \"trigger\""),
            (
                "{ register: block_bundles, combine: { streams: [{ network: base }], policy: on_update, trigger: ethereum }, sinks: [w] }",
                "no stream reads \"ethereum\""
            ),
            (
                "{ register: block_bundles, combine: { streams: [{ network: base }], policy: aligned_by_time }, sinks: [w] }",
                "needs \"tolerance\""
            ),
            (
                "{ register: block_bundles, combine: { streams: [{ network: base }], policy: aligned_by_time, tolerance: 1500ms }, sinks: [w] }",
                "whole seconds"
            ),
            ("{ register: block_bundles, combine: { streams: [{ network: base }], policy: window }, sinks: [w] }", "needs \"every\""),
            (
                "{ register: block_bundles, combine: { streams: [{ network: base }], policy: latest_of_each, every: 1m }, sinks: [w] }",
                "\"every\" is for the policy window"
            ),
            (
                "{ register: block_bundles, combine: { streams: [{ network: base }], policy: latest_of_each, on_timeout: skip }, sinks: [w] }",
                "no \"timeout\""
            ),
            ("{ network: base, register: blocks, sinks: [{ sink: x }] }", "unknown sink"),
            ("{ network: base, register: blocks, sinks: [w, { sink: w }] }", "the sink \"w\" is there twice"),
            ("{ network: base, register: blocks, sinks: [{ sink: w, when_full: explode }] }", "when_full"),
        ])
    func mistakes(_ pipeline: String, _ expected: String) {
        do throws(ConfigError) {
            _ = try load(pipeline)
            Issue.record("it was taken")
        } catch { #expect("\(error)".contains(expected), "\(error)") }
    }

    @Test("a sink is a name, or an object that says what happens when it is slow")
    func sinks() throws {
        let text = "{ network: base, register: blocks, sinks: [w, { sink: v, when_full: spill, spill_limit: 2MiB }] }"
        let pipeline = try #require(try load(text))
        #expect(pipeline.sinks == ["w", "v"] && pipeline.uses.map(\.whenFull) == [.block, .spill(limit: 2 << 20)])
        let dropping = try #require(try load("{ network: base, register: blocks, sinks: [{ sink: v, when_full: drop_newest }] }"))
        #expect(dropping.uses.map(\.whenFull) == [.dropNewest])
        for choice in [WhenFull.block, .spill(limit: 9), .dropNewest] { #expect(WhenFull("\(choice)") == choice) }
        #expect(WhenFull("spill 0") == nil && WhenFull("spill") == nil && WhenFull("") == nil)
    }

    @Test(
        "no text but that of a policy is one",
        arguments: [
            "", "on_update", "on_update x any", "window", "window 5 6", "aligned_by_time", "on_update 0 some", "latest_of_each skip",
        ])
    func noPolicy(_ text: String) { #expect(SynchronizationPolicy(text) == nil) }
}
