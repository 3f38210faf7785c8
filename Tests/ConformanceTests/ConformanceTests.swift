import Foundation
import SluiceCatalog
import SluiceCore
import SluiceTestKit
import Testing

/// Starts every server once for the whole run, and ends them with it.
struct Servers: SuiteTrait, TestScoping {
    @TaskLocal static var services: TestServices?

    var isRecursive: Bool { false }

    func provideScope(for test: Test, testCase: Test.Case?, performing body: @Sendable @concurrent () async throws -> Void) async throws {
        let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
        let services = try TestServices(Described.servers, root: root)
        defer { services.stop() }
        try await Self.$services.withValue(services) { try await body() }
    }

    /// Where a server is.
    static func variable(_ name: String) throws -> String {
        guard let value = services?.variables[name] else { throw SluiceError(.init("conformance"), .fatal, "no \(name)") }
        return value
    }
}

/// Every sink of the catalogue against its real store, by the clauses that all of them share.
@Suite("Conformance of sinks", Servers(), .timeLimit(.minutes(20))) struct Conformance {
    /// A clause and a sink: a failure names both.
    struct Pair: Sendable, CustomTestStringConvertible {
        let sink: SinkUnderTest
        let clause: SinkConformance.Case
        var testDescription: String { "\(sink): \(clause)" }

        static let all = Described.available.map(\.sink).flatMap { sink in
            SinkConformance.cases.filter { $0.applies(to: sink) && !isSlow($0, sink) }.map { Pair(sink: sink, clause: $0) }
        }
    }

    /// A bucket that is away is tried again for a minute before the sink gives up, which no option changes: its own tests look at that.
    private static func isSlow(_ clause: SinkConformance.Case, _ sink: SinkUnderTest) -> Bool {
        sink.description == "parquet in a bucket" && clause.description.hasPrefix("a server that cannot be reached")
    }

    /// A sink and a seed.
    struct Run: Sendable, CustomTestStringConvertible {
        let sink: SinkUnderTest
        let seed: UInt64
        var testDescription: String { "\(sink), seed \(seed)" }

        static let all: [Run] = {
            let environment = ProcessInfo.processInfo.environment
            let seeds: [UInt64] =
                environment["SLUICE_TEST_SEED"].flatMap { UInt64($0) }.map { [$0] }
                ?? Array(1...(environment["SLUICE_TEST_LONG"] == "1" ? 300 : 12))
            return Described.available.map(\.sink).flatMap { sink in seeds.map { Run(sink: sink, seed: $0) } }
        }()
    }

    /// No two places have one name.
    static func name() -> String { "c" + UUID().uuidString.lowercased().filter { $0 != "-" }.prefix(16) }

    @Test("the suite knows every sink of the catalogue, and says of it what the catalogue says")
    func catalogue() {
        let types = Set(Described.all.map(\.sink.type))
        for connector in Catalog.sinks {
            #expect(types.contains(connector.type), "nothing describes \(connector.type) to the suite: Described.swift")
            for sink in Described.all.map(\.sink) where sink.type == connector.type {
                #expect(sink.promises.delivery == connector.delivery, "\(sink)")
                #expect(!sink.promises.holdsBack || connector.holdsBack, "\(sink)")
            }
        }
        #expect(types.subtracting(Catalog.sinks.map(\.type)) == [])
    }

    @Test("clause", .enabled(if: Reader.isAvailable, "python's duckdb and pyarrow are missing: scripts/setup --test"), arguments: Pair.all)
    func clause(_ pair: Pair) async throws {
        for violation in try await Room.shared.with({ try await pair.clause.run(pair.sink, name: Self.name()) }) {
            Issue.record("\(pair.testDescription): \(violation)")
        }
    }

    @Test(
        "random steps come out as in memory, and so they do in another process",
        .enabled(if: Reader.isAvailable, "python's duckdb and pyarrow are missing: scripts/setup --test"), arguments: Run.all)
    func model(_ run: Run) async throws {
        for violation in try await Room.shared.with({ try await SinkModel.run(run.sink, name: Self.name(), seed: run.seed, steps: 25) }) {
            Issue.record("\(run.testDescription): \(violation)")
        }
    }

    /// Skipped, and counted as skipped, where some are not.
    @Test(
        "the servers of all sinks are here",
        .enabled(if: missing.isEmpty, "not installed: \(missing.joined(separator: ", ")); scripts/setup --test"))
    func servers() {
        let absent = Described.all.filter { !$0.isHere }.map(\.sink.description)
        #expect(absent == [])
    }

    private static let missing = Described.all.filter { !$0.isHere }.map(\.sink.description)
}

/// Lets a few in at a time: all cases begin at once, and hundreds of databases and readers would wait for each other.
actor Room {
    static let shared = Room(places: 8)

    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(places: Int) { free = places }

    nonisolated func with<R: Sendable>(_ body: @Sendable () async throws -> R) async rethrows -> R {
        await enter()
        do {
            let result = try await body()
            await leave()
            return result
        } catch {
            await leave()
            throw error
        }
    }

    private func enter() async {
        if free > 0 {
            free -= 1
        } else {
            await withCheckedContinuation { waiting.append($0) }
        }
    }

    private func leave() {
        if waiting.isEmpty {
            free += 1
        } else {
            waiting.removeFirst().resume()
        }
    }
}
