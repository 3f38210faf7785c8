import Foundation
import Glibc
import SluiceCore
import SluiceTestKit
import Synchronization

/// Asks a program that is not ours what a store holds: Python, with each store's own client. The programs stay up for the next question.
final class Reader: Sendable {
    static let shared = Reader()

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// One program, asked by one caller at a time.
    private final class Program: @unchecked Sendable {
        // SAFETY: whoever took it out of the list of idle ones is alone with it.
        let input: FileHandle
        let output: FileHandle

        /// Starts one; it ends with its input, which nobody else may hold.
        init() throws {
            var (input, output): ([Int32], [Int32]) = ([0, 0], [0, 0])
            guard pipe(&input) == 0, pipe(&output) == 0 else { throw Failure(description: "no pipe") }
            for end in input + output { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            let script = #filePath.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/Python/reader.py"
            let environment = ["PYTHONPATH=" + Reader.packages, "PYTHONUTF8=1"]
            _ = try Spawn.start(["/usr/bin/env"] + environment + ["python3.11", "-B", script], input: input[0], output: output[1])
            // Its own ends: else nobody would see it end.
            close(input[0])
            close(output[1])
            self.input = FileHandle(fileDescriptor: input[1])
            self.output = FileHandle(fileDescriptor: output[0])
        }

        /// What it answers: a length of four bytes, and as many bytes.
        func ask(_ question: Data) throws -> [UInt8] {
            try input.write(contentsOf: question + [10])
            let head = try take(4)
            return try take(head.reduce(0) { $0 << 8 | Int($1) })
        }

        private func take(_ count: Int) throws -> [UInt8] {
            var all: [UInt8] = []
            while all.count < count {
                guard let some = try output.read(upToCount: count - all.count), !some.isEmpty else {
                    throw Failure(description: "the reader ended")
                }
                all += some
            }
            return all
        }
    }

    private struct Question: Encodable {
        let kind: String
        let place: [String: String]
        let table: String
        let chain: UInt64
        let pipeline: String
        let columns: [[String]]
    }

    /// Programs are started under the lock: one must not inherit what another is spoken to by.
    private let idle = Mutex<[Program]>([])

    /// The rows of a table, as `SinkRows` writes them.
    func rows(_ kind: String, _ place: [String: String], _ schema: Schema, _ id: StreamID) async throws -> [[String?]] {
        let question = Question(
            kind: kind, place: place, table: schema.name, chain: id.chainID, pipeline: id.pipeline,
            columns: schema.fields.map { [$0.name, $0.type.name] })
        let asked = try JSONEncoder().encode(question)
        let said: [UInt8] = try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Result {
                        let program = try self.idle.withLock { try $0.popLast() ?? Program() }
                        let said = try program.ask(asked)
                        self.idle.withLock { $0.append(program) }
                        return said
                    })
            }
        }
        guard said.first == UInt8(ascii: "R") else {
            throw Failure(description: "\(kind), \(schema.name): \(String(decoding: said.dropFirst(), as: UTF8.self))")
        }
        return Self.rows(said, width: schema.fields.count)
    }

    /// Values one behind the other: `n`, or `t` with a length of four bytes and a text.
    private static func rows(_ bytes: [UInt8], width: Int) -> [[String?]] {
        var (rows, row, at): ([[String?]], [String?], Int) = ([], [], 1)
        while at < bytes.count {
            if bytes[at] == UInt8(ascii: "n") {
                row.append(nil)
                at += 1
            } else {
                let count = bytes[at + 1..<at + 5].reduce(0) { $0 << 8 | Int($1) }
                row.append(String(decoding: bytes[at + 5..<at + 5 + count], as: UTF8.self))
                at += 5 + count
            }
            if row.count == width {
                rows.append(row)
                row = []
            }
        }
        return rows
    }

    /// Where `scripts/setup --test` has put what Python needs.
    static let packages: String = {
        let environment = ProcessInfo.processInfo.environment
        let cache = (environment["XDG_CACHE_HOME"] ?? (environment["HOME"] ?? "") + "/.cache") + "/sluice"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: cache)) ?? []
        let wanted = ["pyarrow-", "moto-", "duckdb-"]
        return names.filter { name in wanted.contains { name.hasPrefix($0) } && !name.contains("partial") }.map { "\(cache)/\($0)" }
            .joined(separator: ":")
    }()

    /// Whether that is all there.
    static let isAvailable = ["pyarrow-", "duckdb-"].allSatisfy { packages.contains("/" + $0) }
}
