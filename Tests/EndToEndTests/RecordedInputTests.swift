import Glibc
import SluiceSimulator
import Testing

extension EndToEnd {
    /// Blocks of the real chain through real HTTP into real stores; what must come out is worked out in Python from the same JSON.
    @Suite(.serialized, .needsReaders) struct RecordedInput {
        /// The recorded file; a generated chain written like one where there is none.
        private func recorded(_ box: Sandbox) throws -> String {
            if let path = Surroundings.recordedBlocks { return path }
            let path = box.path("recorded.jsonl")
            var options = SimulatorOptions(.generated(Chain.options(blocks: 24)))
            options.port = 0
            try Simulator(options).writeRecorded(Chain.blocks(24), to: path)
            return path
        }

        private func simulate(_ box: Sandbox, _ arguments: String...) async throws -> (program: ChildProgram, port: UInt16) {
            let program = try box.start(["simulate", "--port", "0"] + arguments)
            let line = try await program.line(beginning: "listening on http://127.0.0.1:")
            let digits = line.dropFirst("listening on http://127.0.0.1:".count).prefix { $0.isNumber }
            return (program, try #require(UInt16(digits)))
        }

        @Test("recorded blocks, numbered anew, add up in every store as they do in the JSON")
        func renumbered() async throws {
            try await Sandbox.run { box in
                let file = try recorded(box)
                let count = 60
                let (program, port) = try await simulate(box, "--replay", file, "--blocks", "\(count)", "--start", "\(Chain.first)")
                var place = Workplace(box, "main", port: port, kinds: Workplace.Kind.available)
                place.network = "ethereum"
                try await place.backfill(Chain.blocks(count))
                program.send(SIGTERM)
                let expected: [String: String] = try await box.python("recorded.py", "sums", file, "\(count)")
                #expect(expected["rows.blocks"] == "\(count)" && expected["rows.erc20_transfers"] != "0")
                for kind in Workplace.Kind.available {
                    #expect(try await place.sums(kind) == expected, "\(kind)")
                    try await place.tables(kind).expectWhole(Chain.blocks(count))
                }
                #expect([.exited(0), .exited(143)].contains(try await program.wait()))
            }
        }

        @Test("recorded blocks under their own numbers, run by run, add up as they do in the JSON")
        func asRecorded() async throws {
            try await Sandbox.run { box in
                let file = try recorded(box)
                let (program, port) = try await simulate(box, "--replay", file)
                var place = Workplace(box, "main", port: port, kinds: Workplace.Kind.available)
                place.network = "ethereum"
                let runs: [[UInt64]] = try await box.python("recorded.py", "runs", file)
                for run in runs { try await place.backfill(run[0]...run[1]) }
                program.send(SIGTERM)
                let expected: [String: String] = try await box.python("recorded.py", "sums", file)
                for kind in Workplace.Kind.available {
                    #expect(try await place.sums(kind) == expected, "\(kind)")
                    try await place.tables(kind).expectWhole(nil)
                }
                _ = try await program.wait()
            }
        }
    }
}
