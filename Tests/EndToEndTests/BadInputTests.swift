import Glibc
import SluiceCore
import SluiceSimulator
import Testing

extension EndToEnd {
    /// What an operator can get wrong: a documented exit code, words that name the place and the mend, and no harm done.
    @Suite struct BadInput {
        @Test("an endpoint that nobody answers at is exit code 69 and named")
        func unreachable() async throws {
            try await Sandbox.run { box in
                // A port that was free a moment ago.
                let simulator = try Simulator(SimulatorOptions(.generated(Chain.options(blocks: 2))))
                let port = try await simulator.start()
                await simulator.stop()
                var place = Workplace(box, "main", port: port)
                place.settings = "retry_attempts: 2, retry_budget: 2s, connect_timeout: 500ms"
                let child = try place.startBackfill(Chain.blocks(2))
                #expect(try await child.wait() == .exited(69))
                #expect(child.errors.contains("127.0.0.1:\(port)"), "\(child.errors)")
            }
        }

        @Test("an endpoint of another chain is exit code 78 and leaves no row")
        func wrongChain() async throws {
            try await Sandbox.run { box in
                try await Chain.serving(Chain.options(blocks: 20)) { _, port in
                    var place = Workplace(box, "main", port: port)
                    place.network = "ethereum"
                    let child = try place.startBackfill(Chain.blocks(10))
                    #expect(try await child.wait() == .exited(78), "\(child.errors)")
                    #expect(child.errors.contains("1337"), "\(child.errors)")
                }
            }
        }

        @Test("a range beyond the head is exit code 78 and says where the head is")
        func beyondHead() async throws {
            try await Sandbox.run { box in
                try await Chain.serving(Chain.options(blocks: 20)) { _, port in
                    let place = Workplace(box, "main", port: port)
                    let child = try place.startBackfill(Chain.first...(Chain.first + 20))
                    #expect(try await child.wait() == .exited(78))
                    #expect(child.errors.contains("\(Chain.first + 19)"), "\(child.errors)")
                }
            }
        }

        @Test("misspelt keys, unknown kinds and unset variables are exit code 78, all at once, with their lines")
        func configuration() async throws {
            try await Sandbox.run { box in
                try Surroundings.write(
                    """
                    networks:
                      simulated: { endpoint: ["${SLUICE_E2E_UNSET}"] }
                    sinks:
                      tables: { type: duckdbb, path: x.duckdb }
                    pipelines:
                      main: { network: simulated, register: geth_blok, sinks: [tables] }

                    """, to: box.path("sluice.yaml"))
                for command in ["validate", "run"] {
                    let (ending, errors) = try await box.sluice(command, "-c", "sluice.yaml")
                    #expect(ending == .exited(78))
                    for word in ["sluice.yaml:2", "sluice.yaml:4", "sluice.yaml:6", "endpoints", "duckdb", "geth_block"] {
                        #expect(errors.contains(word), "\(command) does not say \(word): \(errors)")
                    }
                }
                try Surroundings.write(
                    """
                    networks:
                      simulated: { endpoints: ["${SLUICE_E2E_UNSET}"] }
                    sinks:
                      tables: { type: duckdb, path: x.duckdb }
                    pipelines:
                      main: { network: simulated, register: blocks, sinks: [tables] }

                    """, to: box.path("sluice.yaml"))
                let (ending, errors) = try await box.sluice("validate", "-c", "sluice.yaml")
                #expect(ending == .exited(78))
                #expect(errors.contains("SLUICE_E2E_UNSET") && errors.contains("sluice.yaml:2"), "\(errors)")
            }
        }

        @Test("a missing configuration is exit code 78, an unknown option exit code 2")
        func commandLine() async throws {
            try await Sandbox.run { box in
                let missing = try await box.sluice("run", "-c", "nowhere.yaml")
                #expect(missing.ending == .exited(78))
                #expect(missing.errors.contains("nowhere.yaml"))
                let unknown = try await box.sluice("backfill", "--form", "1")
                #expect(unknown.ending == .exited(2))
                #expect(unknown.errors.contains("--from"), "\(unknown.errors)")
            }
        }

        @Test("a database that another program holds is exit code 75; released, the same command completes", .needsReaders)
        func locked() async throws {
            try await Sandbox.run { box in
                try await Chain.serving(Chain.options(blocks: 60)) { _, port in
                    let place = Workplace(box, "main", port: port)
                    let range = Chain.blocks(40)
                    do {
                        let holder = try box.startPython("stores.py", ["hold", place.database])
                        _ = try await holder.line(beginning: "held")
                        let child = try place.startBackfill(range)
                        #expect(try await child.wait() == .exited(75), "\(child.errors)")
                        #expect(child.errors.contains(place.database), "\(child.errors)")
                        holder.send(SIGTERM)
                        _ = try await holder.wait()
                    }
                    try await place.backfill(range)
                    try await place.tables(.duckdb).expectWhole(range)
                }
            }
        }

        @Test("a folder where the database should be is exit code 75; moved away, the same command completes", .needsReaders)
        func notAFile() async throws {
            try await Sandbox.run { box in
                try await Chain.serving(Chain.options(blocks: 60)) { _, port in
                    let place = Workplace(box, "main", port: port)
                    #expect(mkdir(box.path(place.database), 0o755) == 0)
                    let child = try place.startBackfill(Chain.blocks(40))
                    #expect(try await child.wait() == .exited(75), "\(child.errors)")
                    #expect(child.errors.contains(place.database), "\(child.errors)")
                    rmdir(box.path(place.database))
                    try await place.backfill(Chain.blocks(40))
                    try await place.tables(.duckdb).expectWhole(Chain.blocks(40))
                }
            }
        }

        @Test(
            "a full disk is exit code 75; with room again, the same command completes exactly", .needsReaders,
            arguments: Workplace.Kind.embedded)
        func fullDisk(_ kind: Workplace.Kind) async throws {
            try await Sandbox.run { box in
                try await Chain.serving(Chain.options(blocks: 330)) { _, port in
                    let range = Chain.blocks(300)
                    let clean = Workplace(box, "clean", port: port, kinds: [kind])
                    try await clean.backfill(range)
                    var place = Workplace(box, "main", port: port, kinds: [kind])
                    // Files may not grow beyond this; the kernel says so to the writer as a full disk would. Larger than a state
                    // file, smaller than the database and the Parquet files of one span.
                    place.blocksPerFile = 1000
                    try place.write()
                    let child = try box.start(
                        ["backfill", "-c", place.config, "--from", "\(range.lowerBound)", "--to", "\(range.upperBound)"],
                        after: "trap '' XFSZ; ulimit -f \(kind == .duckdb ? 4000 : 400)")
                    #expect(try await child.wait() == .exited(75), "\(child.errors)")
                    #expect(child.errors.contains(kind == .duckdb ? place.database : place.lake), "\(child.errors)")
                    try await place.backfill(range)
                    let tables = try await place.tables(kind)
                    tables.expectWhole(range)
                    #expect(try await clean.tables(kind) == tables)
                }
            }
        }

        @Test(
            "a recorded file that is malformed is exit code 65 and names file and line",
            arguments: [
                ("{\"number\":", "bad.jsonl:2"), ("[]", "bad.jsonl:2"), ("{\"number\":7}", "bad.jsonl:2"),
                ("{\"number\":7,\"hash\":\"0x00\",\"block\":{}}", "bad.jsonl:2"), ("not json", "bad.jsonl:2"),
            ])
        func recordedLine(_ line: String, _ place: String) async throws {
            try await Sandbox.run { box in
                let simulator = try Simulator(SimulatorOptions(.generated(Chain.options(blocks: 2))))
                try simulator.writeRecorded(Chain.blocks(1), to: box.path("bad.jsonl"))
                let good = Surroundings.text(of: box.path("bad.jsonl"))
                try Surroundings.write(good + line + "\n", to: box.path("bad.jsonl"))
                let (ending, errors) = try await box.sluice("simulate", "--port", "0", "--replay", "bad.jsonl")
                #expect(ending == .exited(65), "\(errors)")
                #expect(errors.contains(place), "\(errors)")
            }
        }

        @Test("a compressed recorded file that was cut off is exit code 65 and named")
        func recordedCutOff() async throws {
            try await Sandbox.run { box in
                let simulator = try Simulator(SimulatorOptions(.generated(Chain.options(blocks: 12))))
                try simulator.writeRecorded(Chain.blocks(12), to: box.path("cut.jsonl"))
                let tool = try ChildProgram(
                    ["/bin/sh", "-c", "zstd -q cut.jsonl && truncate -s -100 cut.jsonl.zst"], in: box.folder, log: "zstd")
                #expect(try await tool.wait() == .exited(0))
                let (ending, errors) = try await box.sluice("simulate", "--port", "0", "--replay", "cut.jsonl.zst")
                #expect(ending == .exited(65), "\(errors)")
                #expect(errors.contains("cut.jsonl.zst"), "\(errors)")
            }
        }
    }
}
