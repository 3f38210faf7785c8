import Foundation
import SluiceConfig
import SluiceCore
import SluiceTelemetry
import SluiceTestKit
import Synchronization
import Testing

@testable import InfluxDBConnector

/// The words of version 2, against a server that records what it is asked.
@Suite struct InfluxVersion2Tests {
    private let id = StreamID(pipeline: "p", chainID: 1)

    /// Answers as InfluxDB 2 does; `refuses` says why it does not take some lines.
    final class Recorder: Sendable {
        let requests = Mutex<[ScriptedServer.Request]>([])
        let server: ScriptedServer
        let said = Mutex<[String]>([])

        init(
            retention: Int = 0, buckets: [String]? = nil, refuses: @escaping @Sendable (String) -> String? = { _ in nil },
            statuses: [Int] = []
        ) throws {
            let seen = Mutex<[ScriptedServer.Request]>([])
            let left = Mutex(statuses)
            let box = Box()
            server = try ScriptedServer { request in
                seen.withLock { $0.append(request) }
                box.recorder?.requests.withLock { $0.append(request) }
                func json(_ status: Int, _ text: String) -> [ScriptedServer.Step] {
                    .response(status, headers: ["Content-Type: application/json"], body: Array(text.utf8))
                }
                if request.path.hasPrefix("/ping") { return .response(204) }
                guard request.headers["authorization"] == "Token hunter2" else {
                    return json(401, #"{"code":"unauthorized","message":"unauthorized access"}"#)
                }
                if request.path.hasPrefix("/api/v2/buckets") {
                    if let buckets, buckets.isEmpty { return json(404, #"{"code":"not found","message":"bucket \"b\" not found"}"#) }
                    return json(200, #"{"buckets":[{"name":"b","retentionRules":[{"type":"expire","everySeconds":\#(retention)}]}]}"#)
                }
                if request.path.hasPrefix("/api/v2/write") {
                    let status = left.withLock { $0.isEmpty ? nil : $0.removeFirst() }
                    if let status { return .response(status, headers: ["Retry-After: 0"], body: Array("busy".utf8)) }
                    guard let lines = Recorder.unzipped(request) else { return json(400, #"{"code":"invalid","message":"no gzip"}"#) }
                    if let reason = refuses(lines) { return json(422, #"{"code":"unprocessable entity","message":"\#(reason)"}"#) }
                    return .response(204)
                }
                return request.path.hasPrefix("/api/v2/delete") ? .response(204) : .response(404)
            }
            box.recorder = self
        }

        private final class Box: @unchecked Sendable {
            // SAFETY: written before the first request is made.
            weak var recorder: Recorder?
        }

        /// By another program than the one that compressed.
        static func unzipped(_ request: ScriptedServer.Request) -> String? {
            guard request.headers["content-encoding"] == "gzip" else { return String(decoding: request.body, as: UTF8.self) }
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = ["gzip", "-dc"]
            let (input, output) = (Pipe(), Pipe())
            process.standardInput = input
            process.standardOutput = output
            guard (try? process.run()) != nil else { return nil }
            input.fileHandleForWriting.write(Data(request.body))
            try? input.fileHandleForWriting.close()
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            return process.terminationStatus == 0 ? text : nil
        }

        func sink(_ adjust: (inout InfluxSinkOptions) -> Void = { _ in }) -> (InfluxSink, MemorySegments) {
            var options = InfluxSinkOptions(
                url: server.url + "/", shown: "here", interface: .bucket("b", org: "my org"), token: "hunter2", retryBudget: .seconds(20))
            adjust(&options)
            let segments = MemorySegments()
            let log = Log(level: .warning, clock: { 0 }) { line in self.said.withLock { $0.append(line) } }
            return (InfluxSink(options, segments: segments, log: log), segments)
        }

        func asked(_ path: String) -> [ScriptedServer.Request] { requests.withLock { $0.filter { $0.path.hasPrefix(path) } } }
    }

    @Test("token, organisation, bucket, precision and gzip; numbers without sign")
    func write() async throws {
        let recorder = try Recorder()
        let (sink, segments) = recorder.sink()
        let schema = Schema(
            name: "t", key: ["chain_id"], doc: "",
            fields: [Field("chain_id", .int64, ""), Field("block_number", .int64, ""), Field("a", .uint64, "")])
        let stream = try await sink.open(id, tables: [schema])
        var columns = schema.fields.map { ColumnBuilder($0.type) }
        columns[0].append(Int64(1))
        columns[1].append(Int64(7))
        columns[2].append(UInt64.max)
        let span = Span(7, parentHash: .zero, block: BlockStamp(hash: SmallChain.hash(7), timestamp: 1_700_000_000))
        _ = try await stream.write(
            Batch(chainID: 1, span: span, tables: [Table(schema: schema, columns: columns.map { $0.finish() }, rowCount: 1)]))
        #expect(try await stream.flush() == SmallChain.position(7))
        let request = try #require(recorder.asked("/api/v2/write").first)
        #expect(request.path == "/api/v2/write?org=my%20org&bucket=b&precision=ns")
        #expect(request.headers["authorization"] == "Token hunter2" && request.headers["content-encoding"] == "gzip")
        #expect(Recorder.unzipped(request) == "t,chain_id=1 block_number=7i,a=18446744073709551615u 1700000000007000000\n")
        #expect(recorder.asked("/api/v2/buckets").first?.path == "/api/v2/buckets?org=my%20org&name=b")
        #expect(segments.load(id) == [SmallChain.segment(7...7)])
        #expect(recorder.said.withLock { $0 } == [])
    }

    @Test("a busy server is asked again; rows that it refuses are found, the others stored")
    func refused() async throws {
        let recorder = try Recorder(
            refuses: { $0.contains("number=5i") || $0.contains("number=9i") ? "failure: dropped=1" : nil }, statuses: [503, 429])
        let (sink, _) = recorder.sink()
        let stream = try await sink.open(id, tables: [SmallChain.blocks])
        let batch = SmallChain.batch(1...16)
        _ = try await stream.write(Batch(chainID: 1, span: batch.span, tables: [batch.tables[0]]))
        let refusal = await #expect(throws: RowsRefused.self) { _ = try await stream.flush() }
        #expect(
            refusal?.rows.map { "\($0.block.number) \($0.row): \($0.message)" } == [
                "5 number 5: failure: dropped=1", "9 number 9: failure: dropped=1",
            ])
        let stored = Set(
            recorder.asked("/api/v2/write").dropFirst(2).compactMap { request -> String? in
                let lines = Recorder.unzipped(request) ?? ""
                return lines.contains("number=5i") || lines.contains("number=9i") ? nil : lines
            }.flatMap { $0.split(separator: "\n") })
        #expect(stored.count == 14)
    }

    @Test("a wrong token, a bucket that is not there: one clear error each, without the token; a short retention is told")
    func refusals() async throws {
        let recorder = try Recorder(retention: 3600)
        let (wrong, _) = recorder.sink { $0.token = Secret("swordfish") }
        await #expect { _ = try await wrong.open(id, tables: SmallChain.schemas) } throws: {
            ($0 as? SluiceError)?.class == .config && "\($0)".contains("unauthorized access") && !"\($0)".contains("swordfish")
        }
        let (sink, _) = recorder.sink()
        _ = try await sink.open(id, tables: SmallChain.schemas)
        #expect(recorder.said.withLock { $0.first }?.contains("retention=3600s") == true)
        let (missing, _) = try Recorder(buckets: []).sink()
        await #expect { _ = try await missing.open(id, tables: SmallChain.schemas) } throws: {
            ($0 as? SluiceError)?.class == .config || ($0 as? SluiceError)?.class == .retry
        }
        let none = try Recorder(buckets: [])
        let (third, _) = none.sink()
        await #expect { _ = try await third.open(id, tables: SmallChain.schemas) } throws: {
            ($0 as? SluiceError)?.class == .config && "\($0)".contains("bucket \"b\" not found")
        }
    }

    @Test("version 1 goes by user and password, which no error shows; a measurement is named by its pipeline")
    func basic() async throws {
        let seen = Mutex<[ScriptedServer.Request]>([])
        let server = try ScriptedServer { request in
            seen.withLock { $0.append(request) }
            let isKnown = request.headers["authorization"] == "Basic c2x1aWNlOmh1bnRlcjI6LQ=="
            if request.path.hasPrefix("/query") {
                let known = #"{"results":[{"series":[{"columns":["name","duration","default"],"values":[["autogen","0s",true]]}]}]}"#
                return isKnown ? .response(body: Array(known.utf8)) : .response(401, body: Array(#"{"error":"authorization failed"}"#.utf8))
            }
            return .response(204)
        }
        func sink(_ password: String) -> InfluxSink {
            InfluxSink(
                InfluxSinkOptions(
                    url: server.url, shown: "here", interface: .database("d b", retentionPolicy: "autogen"), username: "sluice",
                    password: password,
                    measurement: "{pipeline}.{table}", compresses: false), segments: MemorySegments(), log: .disabled)
        }
        await #expect { _ = try await sink("swordfish").open(id, tables: SmallChain.schemas) } throws: {
            ($0 as? SluiceError)?.class == .config && "\($0)".contains("authorization failed") && !"\($0)".contains("swordfish")
        }
        let stream = try await sink("hunter2:-").open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...1))
        _ = try await stream.finish()
        let written = try #require(seen.withLock { $0.last })
        #expect(written.path == "/write?db=d%20b&precision=ns&rp=autogen")
        #expect(String(decoding: written.body, as: UTF8.self).split(separator: "\n").map { $0.prefix(8) } == ["p.blocks", "p.logs,c"])
    }

    @Test("a rollback and an amendment delete by measurement, chain and time")
    func delete() async throws {
        let recorder = try Recorder()
        let (sink, _) = recorder.sink()
        let stream = try await sink.open(id, tables: SmallChain.schemas)
        _ = try await stream.write(SmallChain.batch(1...4))
        try await stream.rollback(to: SmallChain.position(3))
        let bodies = recorder.asked("/api/v2/delete").map { String(decoding: $0.body, as: UTF8.self) }
        // Block 4 is 48 seconds behind 2023-11-14 22:13:20, and the fourth of its second.
        let range = #"{"start": "2023-11-14T22:14:08.004000000Z", "stop": "2023-11-14T22:14:08.004999999Z", "predicate": "#
        #expect(
            bodies == [
                range + #""_measurement=\"blocks\" AND chain_id=\"1\""}"#, range + #""_measurement=\"logs\" AND chain_id=\"1\""}"#,
            ])
        try await stream.amend([SmallChain.amendment(2, places: [1])])
        let last = recorder.asked("/api/v2/delete").last.map { String(decoding: $0.body, as: UTF8.self) }
        #expect(last?.contains(#""start": "2023-11-14T22:13:44.002000001Z", "stop": "2023-11-14T22:13:44.002000001Z""#) == true)
    }

    @Test(
        "moments as dates",
        arguments: [
            (0, "1970-01-01T00:00:00.000000000Z"), (-1, "1969-12-31T23:59:59.999999999Z"),
            (951_782_400_000_000_007, "2000-02-29T00:00:00.000000007Z"),
            (1_709_164_800_123_456_789, "2024-02-29T00:00:00.123456789Z"), (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000000Z"),
        ] as [(Int64, String)])
    func dates(_ nanoseconds: Int64, _ text: String) { #expect(InfluxTime.text(nanoseconds) == text) }
}
