import SluiceConfig
import SluiceCore
import Testing

@Suite struct BadConfigTests {
    @Test("every mistake is reported where it is, in words that mend it", arguments: GoldenBadConfig.all)
    func golden(_ golden: GoldenBadConfig) {
        let problems = Fixtures.problems(golden.text, .fixed([:]))
        let summaries = problems.map(\.summary)
        #expect(summaries.count == golden.expected.count, "\(summaries)")
        for expected in golden.expected {
            let parts = expected.split(separator: " ", maxSplits: 1)
            let found = summaries.contains { $0.hasPrefix("sluice.yaml:\(parts[0]) ") && $0.contains(parts[1]) }
            #expect(found, "nothing says \(expected) in \(summaries)")
        }
    }

    @Test("there are enough golden mistakes, each with its own name")
    func count() {
        #expect(GoldenBadConfig.all.count >= 100)
        #expect(Set(GoldenBadConfig.all.map(\.name)).count == GoldenBadConfig.all.count)
    }

    @Test("a problem is printed with its line and a caret")
    func rendering() throws {
        let text =
            "networks:\n  ethereum: { endpoints: [http://a.example] }\nsinks: { w: { type: duckdb, path: a } }\n"
            + "pipelines:\n  transfers:\n    network: ethereum\n    regster: blocks\n    sinks: [w]\n"
        let error = #expect(throws: ConfigError.self) { try Fixtures.load(text) }
        let description = try #require(error?.description)
        #expect(
            description.contains(
                """
                sluice.yaml:7:5: pipelines.transfers.regster: unknown key; did you mean "register"?
                        regster: ***
                        ^
                """))
        #expect(error?.sluiceError.class == .config)
    }

    @Test("the caret stands under the place, also behind a masked value")
    func caret() throws {
        let text = "networks: {}\nsinks:\n  w: { type: duckdb, password: hunter2, path: a, read_only: maybe }\npipelines: {}\n"
        let problem = try #require(Fixtures.problems(text).first { $0.path == "sinks.w.read_only" })
        let lines = try #require(problem.excerpt).split(separator: "\n").map(Array.init)
        #expect(String(lines[0]) == "      w: { type: duckdb, password: ***, path: a, read_only: maybe }")
        let column = try #require(lines[1].firstIndex(of: "^"))
        #expect(String(lines[0][column...]).hasPrefix("maybe"))
    }

    @Test("a file that cannot be read is a problem, not a crash")
    func missingFile() {
        #expect(throws: ConfigError.self) {
            try SluiceConfiguration.load(path: "/nonexistent/sluice.yaml", catalog: Fixtures.catalog, environment: .fixed([:]))
        }
    }
}
