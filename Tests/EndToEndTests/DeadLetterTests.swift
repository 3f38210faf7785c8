import Foundation
import Glibc
import SluiceCore
import SluiceStore
import Testing

extension EndToEnd {
    /// `sluice dlq` over a state file that was prepared, with and without a run that holds it.
    @Suite struct DeadLetters {
        private static let stream = StreamID(pipeline: "main", chainID: 1337)

        /// Seconds of the first and the second time that letters came in.
        private static let times: [Int64] = [1_700_000_000, 1_700_003_600]

        private static func letter(
            _ log: Int, reason: String = "abi_malformed", message: String = "the data ends too early", payload: String? = nil
        ) -> DeadLetter {
            DeadLetter(
                register: "erc20_transfers", row: "log \(log)",
                block: BlockRef(
                    number: 20_000_000 + UInt64(log / 10), hash: Hash32([UInt8](repeating: UInt8(log / 10), count: 32)) ?? .zero),
                reason: reason, message: message, payload: payload ?? "{\"log_index\":\(log),\"topics\":[\"0xdd\",null]}")
        }

        /// A configuration, and a state file with 12 letters of `main` (the first of which failed twice) and one of a pipeline that is not
        /// configured any more.
        private static func place(_ box: Sandbox, port: UInt16 = 1) async throws -> Workplace {
            let place = Workplace(box, "main", port: port)
            try place.write()
            for (index, time) in times.enumerated() {
                let store = try await StateStore.open(box.path("main.state"), clock: { time * 1_000_000 })
                try await store.keep(index == 0 ? (0..<8).map { letter($0) } : [letter(0)], of: stream)
                if index == 1 {
                    try await store.keep((10..<14).map { letter($0, reason: "abi_unknown") }, of: stream)
                    try await store.keep([letter(1)], of: StreamID(pipeline: "bygone", chainID: 1337))
                }
                await store.close()
            }
            return place
        }

        /// Runs a command that must end with `code`, and returns what it printed.
        private static func run(
            _ box: Sandbox, _ arguments: String..., code: Int32 = 0, sourceLocation: SourceLocation = #_sourceLocation
        ) async throws -> (output: String, errors: String) {
            let child = try box.start(["dlq"] + arguments + ["-c", "main.yaml"])
            let ending = try await child.wait()
            #expect(ending == .exited(code), "\(child.errors)", sourceLocation: sourceLocation)
            return (child.output, child.errors)
        }

        private struct Page: Decodable {
            struct Letter: Decodable {
                let id: Int
                let pipeline: String
                let block: UInt64
                let blockHash: String
                let row: String
                let reason: String
                let tries: Int
                let state: String
                let firstSeen: String
                let lastSeen: String
                let replayWanted: String?
                let payload: String?
            }
            struct Count: Decodable {
                let pipeline: String
                let reason: String
                let count: Int
            }
            let deadLetters: [Letter]
            let counts: [Count]
            let total: Int
            let next: Int?
        }

        private static func page(_ box: Sandbox, _ arguments: String...) async throws -> Page {
            let child = try box.start(["dlq", "list", "--json", "-c", "main.yaml"] + arguments)
            #expect(try await child.wait() == .exited(0), "\(child.errors)")
            return try Surroundings.decoded(Page.self, child.output)
        }

        @Test("list shows a line a letter and how many there are of each reason")
        func list() async throws {
            try await Sandbox.run { box in
                _ = try await Self.place(box)
                let (output, errors) = try await Self.run(box, "list")
                let lines = output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
                #expect(
                    lines[0].split(separator: " ") == ["id", "pipeline", "block", "register", "row", "reason", "tries", "first", "seen"])
                #expect(
                    lines[2].split(separator: " ")
                        == ["1", "main", "20,000,000", "erc20_transfers", "log", "0", "abi_malformed", "2", "2023-11-14T22:13:20Z"])
                #expect(lines.suffix(2) == ["13 open dead letters: abi_malformed 9, abi_unknown 4", ""])
                #expect(lines.count == 2 + 13 + 3)
                #expect(errors.isEmpty)
                let reason = try await Self.run(box, "list", "--pipeline", "main", "--reason", "abi_unknown", "--limit", "3")
                #expect(reason.output.contains("\n4 open dead letters: abi_unknown 4\n3 are shown; --after 11 shows more\n"))
                #expect(try await Self.run(box, "list", "--state", "dropped").output == "no dropped dead letters\n")
            }
        }

        @Test("list --json pages through all letters, and says where the next page begins")
        func pages() async throws {
            try await Sandbox.run { box in
                _ = try await Self.place(box)
                let first = try await Self.page(box, "--limit", "10")
                #expect(first.deadLetters.map(\.id) == Array(1...10) && first.next == 10 && first.total == 13)
                let second = try await Self.page(box, "--limit", "10", "--after", "10")
                #expect(second.deadLetters.map(\.id) == [11, 12, 13] && second.next == nil)
                #expect(
                    second.counts.map { "\($0.pipeline) \($0.reason) \($0.count)" }
                        == ["bygone abi_malformed 1", "main abi_malformed 8", "main abi_unknown 4"])
                let one = try #require(first.deadLetters.first)
                #expect(one.block == 20_000_000 && one.blockHash == "0x" + String(repeating: "00", count: 32))
                #expect(one.tries == 2 && one.firstSeen == "2023-11-14T22:13:20Z" && one.lastSeen == "2023-11-14T23:13:20Z")
                #expect(try await Self.page(box, "--pipeline", "bygone").deadLetters.map(\.id) == [13])
            }
        }

        @Test("show prints everything, with the payload line by line")
        func show() async throws {
            try await Sandbox.run { box in
                _ = try await Self.place(box)
                let output = try await Self.run(box, "show", "9").output
                for words in [
                    "dead letter 9  open", "main (chain 1337)", "20,000,001 0x0101", "erc20_transfers", "log 10", "abi_unknown",
                    "the data ends too early", "2023-11-14T23:13:20Z",
                ] { #expect(output.contains(words), "\(words): \(output)") }
                #expect(
                    output.hasSuffix(
                        "  payload\n    {\n      \"log_index\": 10,\n      \"topics\": [\n        \"0xdd\",\n        null\n      ]\n    }\n"
                    ))
                let json = try await Self.run(box, "show", "9", "--json").output
                let letter = try Surroundings.decoded(Page.Letter.self, json)
                #expect(letter.payload == "{\"log_index\":10,\"topics\":[\"0xdd\",null]}")
                let unknown = try await Self.run(box, "show", "99", code: 78)
                #expect(unknown.output.isEmpty && unknown.errors.contains("there is no dead letter 99"))
            }
        }

        @Test("what a row held never drives the terminal or breaks the output")
        func hostile() async throws {
            try await Sandbox.run { box in
                _ = try await Self.place(box)
                let store = try await StateStore.open(box.path("main.state"))
                let evil = "\u{1B}[2J\u{202E}\r\n\0\u{9B}x"
                let letter = DeadLetter(
                    register: evil, row: evil + String(repeating: "y", count: 5000), block: BlockRef(number: 1, hash: .zero), reason: evil,
                    message: evil, payload: "{\"a\":\"" + evil)
                try await store.keep([letter], of: Self.stream)
                await store.close()
                for command in [["list"], ["show", "14"], ["list", "--json"], ["show", "14", "--json"]] {
                    let child = try box.start(["dlq"] + command + ["-c", "main.yaml"])
                    #expect(try await child.wait() == .exited(0), "\(child.errors)")
                    let isClean = child.output.unicodeScalars.allSatisfy {
                        $0 == "\n" || $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value)
                    }
                    #expect(isClean, "\(command)")
                    if command.last == "--json" { _ = try JSONSerialization.jsonObject(with: Data(child.output.utf8)) }
                    if command == ["list"] { #expect(child.output.split(separator: "\n").allSatisfy { $0.count < 260 }) }
                }
            }
        }

        @Test("drop gives up letters by number, or all of a pipeline with --yes; each stays dropped")
        func drop() async throws {
            try await Sandbox.run { box in
                _ = try await Self.place(box)
                #expect(try await Self.run(box, "drop", "3", "3", "4").output == "dropped 2 dead letters\n")
                #expect(try await Self.run(box, "drop", "4", "5").output == "dropped 1 dead letter; 1 of those named were not open\n")
                // All or nothing: number 6 is still there after the number that is not.
                #expect(try await Self.run(box, "drop", "6", "99", code: 78).errors.contains("99"))
                let asked = try await Self.run(box, "drop", "--all", "--pipeline", "main", "--reason", "abi_unknown", code: 2)
                #expect(asked.errors.contains("4 open dead letters of main") && asked.errors.contains("--yes"), "\(asked.errors)")
                #expect(try await Self.page(box).total == 10)
                let json = try await Self.run(box, "drop", "--all", "--pipeline", "main", "--reason", "abi_unknown", "--yes", "--json")
                    .output
                #expect(json == "{\n  \"dropped\": 4\n}\n")
                #expect(try await Self.page(box).deadLetters.map(\.id) == [1, 2, 6, 7, 8, 13])
                #expect(try await Self.page(box, "--state", "all").total == 13)
                #expect(try await Self.page(box, "--state", "dropped").deadLetters.map(\.id) == [3, 4, 5, 9, 10, 11, 12])
                #expect(try await Self.run(box, "drop", "--all", "--pipeline", "bygone", "--yes").output == "dropped 1 dead letter\n")
            }
        }

        @Test("a replay that cannot reach its source leaves letters marked, and says why; what can never be replayed it says at once")
        func replay() async throws {
            try await Sandbox.run { box in
                var place = try await Self.place(box)
                place.settings = "retry_attempts: 1"
                try place.write()
                let (output, errors) = try await Self.run(box, "replay", "2", "3", "13", code: 69)
                #expect(output == "13: cannot be replayed: the configuration has no pipeline bygone on chain 1337\n", "\(output)")
                #expect(errors.contains("error["), "\(errors)")
                #expect(try await Self.page(box).deadLetters.filter { $0.replayWanted != nil }.map(\.id) == [2, 3])
                #expect(try await Self.run(box, "list", "--limit", "2").output.contains("open, to be replayed"))
                _ = try await Self.run(box, "drop", "2")
                #expect(try await Self.run(box, "replay", "2").output == "there is nothing to replay\n")
                _ = try await Self.run(box, "replay", "--pipeline", "main", "--reason", "abi_unknown", code: 69)
                #expect(try await Self.page(box).deadLetters.filter { $0.replayWanted != nil }.map(\.id) == [3, 9, 10, 11, 12])
                #expect(try await Self.run(box, "replay", "--pipeline", "bygone", code: 65).output.contains("no pipeline bygone"))
                #expect(
                    try await Self.run(box, "show", "13").output.contains(
                        "  replay      impossible: the configuration has no pipeline bygone"))
                #expect(try await Self.run(box, "show", "13", "--json").output.contains("\"last_replay\": \"impossible\""))
            }
        }

        @Test("beside a process that does not replay them it gives up after a while, and the letters stay marked")
        func waiting() async throws {
            try await Sandbox.run { box in
                _ = try await Self.place(box)
                let store = try await StateStore.open(box.path("main.state"))
                let (output, errors) = try await Self.run(box, "replay", "2", "3", "--wait", "100ms", code: 75)
                #expect(output.isEmpty && errors.contains("error[replay_pending]: 2 dead letters stay marked"), "\(errors)")
                #expect(errors.contains("process \(getpid())"), "\(errors)")
                #expect(try await store.wantedReplays() == [2, 3])
                // What becomes of them meanwhile is told.
                let child = try box.start(["dlq", "replay", "2", "3", "4", "5", "--json", "-c", "main.yaml"])
                try await Surroundings.eventually("marks") { try await store.wantedReplays().count == 4 ? true : nil }
                let all = try await store.deadLetters(limit: 99)
                try await store.note([ReplayResult(all[1], .loaded(rows: 7))])
                try await store.dropDeadLetters([3])
                try await store.keep([all[3].letter], of: all[3].stream)
                try await store.note([ReplayResult(all[4], .awaited)])
                #expect(try await child.wait() == .exited(65), "\(child.errors)")
                struct Report: Decodable {
                    struct Line: Decodable, Equatable {
                        let id: Int
                        let outcome: String
                        let rows: Int?
                        let reason: String?
                    }
                    let replayed: [Line]
                }
                #expect(
                    try Surroundings.decoded(Report.self, child.output).replayed == [
                        Report.Line(id: 2, outcome: "loaded", rows: 7, reason: nil),
                        Report.Line(id: 3, outcome: "impossible", rows: nil, reason: nil),
                        Report.Line(id: 4, outcome: "failed", rows: nil, reason: "abi_malformed"),
                        Report.Line(id: 5, outcome: "awaited", rows: nil, reason: nil),
                    ])
                await store.close()
            }
        }

        @Test(
            "what is not understood is exit code 2 and changes nothing",
            arguments: [
                ["lst"], ["show"], ["show", "x"], ["show", "-1"], ["show", "1", "2"], ["drop"], ["drop", "--all"], ["drop", "0"],
                ["drop", "--pipeline", "main"], ["drop", "1", "--all"], ["drop", "1", "--pipeline", "main"], ["drop", "1.5"],
                ["drop", "--all", "--pipeline", "mian", "--yes"], ["replay"], ["replay", "--reason", "abi_unknown"],
                ["replay", "1", "--pipeline", "main"], ["list", "--state", "closed"], ["list", "--limit", "x"],
                ["list", "--pipeline", "mian"],
                ["list", "1"], ["--json", "list"], [],
            ])
        func usage(_ arguments: [String]) async throws {
            try await Sandbox.run { box in
                _ = try await Self.place(box)
                let child = try box.start(["dlq"] + arguments + (arguments.isEmpty ? [] : ["-c", "main.yaml"]))
                #expect(try await child.wait() == .exited(2), "\(child.errors)")
                #expect(!child.errors.isEmpty && child.output.isEmpty)
                if arguments.contains("mian") { #expect(child.errors.contains("did you mean main?"), "\(child.errors)") }
                if arguments == ["lst"] { #expect(child.errors.contains("did you mean dlq list?"), "\(child.errors)") }
                #expect(try await Self.page(box).total == 13)
            }
        }

        @Test("without a state file it says so, with exit code 75, and makes none")
        func missing() async throws {
            try await Sandbox.run { box in
                try Workplace(box, "main", port: 1).write()
                for command in [["list"], ["show", "1"], ["drop", "1"], ["replay", "1"]] {
                    let child = try box.start(["dlq"] + command + ["-c", "main.yaml"])
                    #expect(try await child.wait() == .exited(75), "\(child.errors)")
                    #expect(child.errors.contains("main.state"))
                }
                #expect(access(box.path("main.state"), F_OK) != 0)
            }
        }

        @Test("beside a run that holds the state file, letters are listed and dropped, and the run goes on")
        func besideRun() async throws {
            try await Sandbox.run { box in
                try await Chain.serving(Chain.options(blocks: 60)) { simulator, port in
                    let place = try await Self.place(box, port: port)
                    let child = try place.startRun()
                    try await Surroundings.eventually("a run at the head") {
                        let status = try await box.output("status", "-c", place.config, "--json")
                        return status.contains("\"state\": \"live\"") ? true : nil
                    }
                    #expect(try await Self.run(box, "drop", "1", "2").output == "dropped 2 dead letters\n")
                    #expect(try await Self.page(box).total == 11)
                    let status = try await box.output("status", "-c", place.config)
                    #expect(status.contains("dead letters abi_malformed 6, abi_unknown 4: sluice dlq list"), "\(status)")
                    child.send(SIGTERM)
                    #expect(try await child.wait() == .exited(143), "\(child.errors)")
                    #expect(try await Self.page(box).total == 11)
                }
            }
        }
    }
}
