import Foundation
import RedisConnector
import SluiceCore
import SluiceTestKit
import Testing

/// Asks a server by redis-cli.
struct RedisReader {
    let port: Int

    /// The answer as JSON.
    func json(_ arguments: String...) throws -> Any {
        let process = try started(["--json"] + arguments)
        let said = process.output.readDataToEndOfFile()
        process.process.waitUntilExit()
        return try JSONSerialization.jsonObject(with: said, options: .fragmentsAllowed)
    }

    func started(_ arguments: [String]) throws -> (process: Process, output: FileHandle) {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["redis-cli", "-p", "\(port)"] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        try process.run()
        return (process, pipe.fileHandleForReading)
    }

    /// Ids and fields of a stream's entries.
    func entries(_ stream: String) throws -> [(id: String, fields: [String: String])] {
        let all = try json("XRANGE", stream, "-", "+") as? [[Any]] ?? []
        return try all.map { entry in
            let (id, parts) = (try #require(entry[0] as? String), try #require(entry[1] as? [String]))
            return (id, Dictionary(uniqueKeysWithValues: stride(from: 0, to: parts.count, by: 2).map { (parts[$0], parts[$0 + 1]) }))
        }
    }

    func object(_ text: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    /// What a key of `latest` holds: the block's number, of JSON or of a hash; nil when there is nothing.
    func number(_ key: String, _ column: String = "block_number") throws -> UInt64? {
        if try json("TYPE", key) as? String == "hash" { return (try json("HGET", key, column) as? String).flatMap { UInt64($0) } }
        guard let text = try json("GET", key) as? String else { return nil }
        return try object(text)[column] as? UInt64
    }

    /// That the stream `logs:1` holds exactly the logs of the small chain's blocks.
    func expectLogs(
        _ ranges: ClosedRange<UInt64>..., fork: UInt8 = 0, from: UInt64 = .max, stream: String = "logs:1",
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let expected = ranges.flatMap { Array($0) }.flatMap { number in
            (0..<number % 3).map { "\(number)-\($0 + 1) \(SmallChain.hash(number, fork: number >= from ? fork : 0)) \($0)" }
        }
        let found = try entries(stream).map { entry in
            let row = try object(try #require(entry.fields["row"]))
            return "\(entry.id) \(row["block_hash"] ?? "") \(row["log_index"] ?? "")"
        }
        #expect(found == expected, sourceLocation: sourceLocation)
    }
}

/// Runs `body` with a server of its own.
func withRedis(_ settings: [String] = [], _ body: (RedisServer, RedisReader) async throws -> Void) async throws {
    try await withFolder { folder in
        let server = try RedisServer(folder: folder, settings: settings)
        try await server.start()
        defer { server.crash() }
        try await body(server, RedisReader(port: server.port))
    }
}
