import SluiceConfig
import SluiceCore
import SluiceTelemetry
import SluiceTestKit
import Synchronization
import Testing

@testable import InfluxDBConnector

/// Buckets and tasks of version 2, against a server that records what it is asked: there is no InfluxDB 2 to test with.
@Suite struct InfluxVersion2TierTests {
    private let id = StreamID(pipeline: "p", chainID: 1)

    /// Has buckets and tasks by name, and answers in the form of the API.
    private final class Store: Sendable {
        struct State {
            var buckets: [String: Int] = ["b": 0]
            var tasks: [String: String] = [:]
            var asked: [String] = []
        }

        private let state = Mutex(State())

        var asked: [String] {
            state.withLock { state in
                defer { state.asked = [] }
                return state.asked
            }
        }
        var buckets: [String: Int] { state.withLock { $0.buckets } }
        var tasks: [String: String] { state.withLock { $0.tasks } }

        func answer(_ request: ScriptedServer.Request) -> [ScriptedServer.Step] {
            let text = String(decoding: request.body, as: UTF8.self)
            if request.path.hasPrefix("/ping") { return .response(204) }
            state.withLock { $0.asked.append("\(request.method) \(request.path) \(request.path.hasPrefix("/api/v2/write") ? "" : text)") }
            if request.path.hasPrefix("/api/v2/buckets") { return bucket(request, text) }
            if request.path.hasPrefix("/api/v2/tasks") { return task(request, text) }
            return .response(request.path.hasPrefix("/api/v2/query") ? 200 : 204)
        }

        private func value(_ key: String, in path: String) -> String {
            path.split(separator: "?").last?.split(separator: "&").first { $0.hasPrefix(key + "=") }.map {
                String($0.dropFirst(key.count + 1))
            }
                ?? ""
        }

        private func tree(_ text: String) -> JSONNode? {
            var reader = JSONTreeReader(text, reading: "a request", code: .init("asked"), remedy: "")
            return try? reader.document()
        }

        private func bucket(_ request: ScriptedServer.Request, _ text: String) -> [ScriptedServer.Step] {
            let seconds = tree(text)?["retentionRules"]?.items?.first?["everySeconds"]?.whole.map { Int($0) }
            let found = state.withLock { state -> String in
                if request.method == "POST", let name = tree(text)?["name"]?.text { state.buckets[name] = seconds }
                if request.method == "PATCH" {
                    state.buckets[String(request.path.split(separator: "/").last?.dropFirst(3) ?? "")] = seconds
                }
                let name = value("name", in: request.path)
                guard let held = state.buckets[name] else { return "" }
                return #"{"id":"id-\#(name)","orgID":"0a","name":"\#(name)","retentionRules":[{"everySeconds":\#(held)}]}"#
            }
            return .response(200, body: Array(#"{"buckets":[\#(found)]}"#.utf8))
        }

        private func task(_ request: ScriptedServer.Request, _ text: String) -> [ScriptedServer.Step] {
            let script = tree(text)?["flux"]?.text
            let found = state.withLock { state -> String in
                if request.method == "POST", let script {
                    let name = script.split(separator: "\"").dropFirst().first.map(String.init) ?? ""
                    state.tasks[name] = script
                }
                if request.method == "PATCH", let script {
                    state.tasks[String(request.path.split(separator: "/").last?.dropFirst(3) ?? "")] = script
                }
                let name = value("name", in: request.path)
                return state.tasks[name].map { #"{"id":"id-\#(name)","name":"\#(name)","flux":\#($0.jsonQuoted)}"# } ?? ""
            }
            return .response(200, body: Array(#"{"tasks":[\#(found)]}"#.utf8))
        }
    }

    private func sink(_ server: ScriptedServer, retention: Int = 30, every: Int = 300) -> InfluxSink {
        InfluxSink(
            InfluxSinkOptions(
                url: server.url, shown: "here", interface: .bucket("b", org: "o"), token: "t", retention: .seconds(retention * 86_400),
                tiers: [InfluxTier(name: "warm", retention: .seconds(365 * 86_400), every: .seconds(every), functions: [.mean, .last])],
                tables: ["blocks": InfluxTableOptions(rollup: ["number"])]), segments: MemorySegments(), log: .disabled)
    }

    private let script = """
        option task = {name: "sluice_b_blocks_warm", every: 5m}

        rows = from(bucket: "b")
            |> range(start: -1h)
            |> filter(fn: (r) => r._measurement == "blocks")
            |> filter(fn: (r) => r._field == "number")

        rows
            |> aggregateWindow(every: 5m, fn: mean, createEmpty: false, timeSrc: "_start")
            |> map(fn: (r) => ({r with _measurement: "blocks_warm", _field: r._field + "_mean"}))
            |> to(bucket: "b_warm", org: "o")

        rows
            |> aggregateWindow(every: 5m, fn: last, createEmpty: false, timeSrc: "_start")
            |> map(fn: (r) => ({r with _measurement: "blocks_warm", _field: r._field + "_last"}))
            |> to(bucket: "b_warm", org: "o")

        """

    @Test("buckets and a task are made once, changed when the configuration is, and let alone otherwise")
    func prepared() async throws {
        let store = Store()
        let server = try ScriptedServer { store.answer($0) }
        defer { server.stop() }
        _ = try await sink(server).open(id, tables: SmallChain.schemas)
        #expect(store.buckets == ["b": 30 * 86_400, "b_warm": 365 * 86_400])
        #expect(store.tasks == ["sluice_b_blocks_warm": script])
        let made = store.asked
        #expect(made.contains(#"PATCH /api/v2/buckets/id-b {"retentionRules": [{"type": "expire", "everySeconds": 2592000}]}"#))
        #expect(
            made.contains(
                #"POST /api/v2/buckets {"orgID": "0a", "name": "b_warm", "retentionRules": [{"type": "expire", "everySeconds": 31536000}]}"#
            ))
        #expect(made.contains(#"POST /api/v2/tasks {"orgID": "0a", "flux": \#(script.jsonQuoted), "status": "active"}"#))
        _ = try await sink(server).open(id, tables: SmallChain.schemas)
        #expect(store.asked.allSatisfy { $0.hasPrefix("GET ") })
        _ = try await sink(server, retention: 40, every: 600).open(id, tables: SmallChain.schemas)
        #expect(store.asked.filter { !$0.hasPrefix("GET ") }.map { $0.prefix(40) }.count == 2)
        #expect(store.buckets["b"] == 40 * 86_400 && store.tasks["sluice_b_blocks_warm"]?.contains("every: 10m") == true)
    }

    @Test("sums of the past are asked for in Flux, before the position moves, and made anew after a rollback")
    func passes() async throws {
        let store = Store()
        let server = try ScriptedServer { store.answer($0) }
        defer { server.stop() }
        let stream = try await sink(server).open(id, tables: SmallChain.schemas)
        _ = store.asked
        // 2023-11-14 22:13:20, and 12 seconds a block.
        _ = try await stream.write(SmallChain.batch(1...40))
        _ = try await stream.finish()
        let asked = store.asked
        try #require(asked.count == 3 && asked[0].hasPrefix("POST /api/v2/write"))
        #expect(asked[1].hasPrefix("POST /api/v2/query?org=o rows = from(bucket: \"b\")"))
        #expect(asked[1].contains("range(start: 2023-11-14T22:10:00.000000000Z, stop: 2023-11-14T22:20:00.000000000Z)"))
        #expect(asked[1].contains(#"r._measurement == "blocks" and r["chain_id"] == "1""#))
        #expect(asked[2].contains("range(start: 2023-11-14T22:20:00.000000000Z, stop: 2023-11-14T22:25:00.000000000Z)"))
        try await stream.rollback(to: SmallChain.position(39))
        let undone = store.asked
        let sums = undone.firstIndex { $0.hasPrefix("POST /api/v2/delete?org=o&bucket=b_warm") }
        let again = undone.firstIndex { $0.hasPrefix("POST /api/v2/query") }
        #expect(try #require(sums) < #require(again))
    }
}
