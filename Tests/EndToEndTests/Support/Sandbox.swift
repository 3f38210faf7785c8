import Foundation
import Glibc
import SluiceCore
import SluiceSimulator
import Synchronization
import Testing

/// A folder of its own for one test, in which programs run; it goes with the test.
final class Sandbox: Sendable {
    let folder: String
    private let count = Mutex(0)

    /// Runs a test in a fresh folder. Only so many run at a time: each has programs that want a core.
    static func run(_ body: (Sandbox) async throws -> Void) async throws {
        try await Slots.shared.take()
        let box: Sandbox
        do { box = try Sandbox() } catch {
            await Slots.shared.give()
            throw error
        }
        // `SLUICE_TEST_KEEP=1` keeps what the programs wrote, for a look at it.
        defer { if Surroundings.environment["SLUICE_TEST_KEEP"] != "1" { Surroundings.remove(box.folder) } }
        do {
            try await body(box)
            await Slots.shared.give()
        } catch {
            await Slots.shared.give()
            throw error
        }
    }

    private init() throws {
        var name = Array("\(Surroundings.environment["TMPDIR"] ?? "/tmp")/sluice-e2e-XXXXXX".utf8CString)
        guard mkdtemp(&name) != nil else { throw ChildProgram.Failure(description: "mkdtemp: \(String(cString: strerror(errno)))") }
        folder = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func path(_ name: String) -> String { "\(folder)/\(name)" }

    /// Starts `sluice` in the folder.
    func start(_ arguments: [String], environment: [String: String] = [:]) throws -> ChildProgram {
        try ChildProgram([Surroundings.program] + arguments, in: folder, log: log("sluice"), environment: environment)
    }

    /// Starts it by way of a shell that lowers a limit first.
    func start(_ arguments: [String], after prelude: String) throws -> ChildProgram {
        try ChildProgram(
            ["/bin/sh", "-c", prelude + "; exec \"$@\"", "sh", Surroundings.program] + arguments, in: folder, log: log("sluice"))
    }

    /// Runs it to its end.
    func sluice(_ arguments: String..., environment: [String: String] = [:]) async throws -> (ending: ChildProgram.Ending, errors: String) {
        let child = try start(arguments, environment: environment)
        return (try await child.wait(), child.errors)
    }

    /// Runs it to an end that must be good, and returns what it printed.
    func output(_ arguments: String...) async throws -> String { try await output(arguments) }

    func output(_ arguments: [String]) async throws -> String {
        let child = try start(arguments)
        let ending = try await child.wait()
        guard ending == .exited(0) else { throw ChildProgram.Failure(description: "\(arguments): \(ending); \(child.errors)") }
        return child.output
    }

    /// Runs one of the independent checks and decodes what it prints.
    func python<T: Decodable>(_ script: String, _ arguments: String..., as type: T.Type = T.self) async throws -> T {
        let child = try startPython(script, arguments)
        let ending = try await child.wait()
        guard ending == .exited(0) else { throw ChildProgram.Failure(description: "\(script) \(arguments): \(child.errors)") }
        return try JSONDecoder().decode(T.self, from: Data(child.output.utf8))
    }

    func startPython(_ script: String, _ arguments: [String]) throws -> ChildProgram {
        try ChildProgram(
            ["python3", "-B", "\(Surroundings.sources)/Python/\(script)"] + arguments, in: folder, log: log("python"),
            environment: ["PYTHONPATH": Surroundings.packages.joined(separator: ":")])
    }

    private func log(_ name: String) -> String {
        let number = count.withLock { count in
            count += 1
            return count
        }
        return "\(name)-\(number)"
    }
}

extension Surroundings {
    /// JSON that the program wrote.
    static func decoded<T: Decodable>(_ type: T.Type, _ text: String) throws -> T {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(type, from: Data(text.utf8))
    }
}

/// How many tests may run at a time.
private actor Slots {
    static let shared = Slots()
    private var free = 3
    private var waiting: [CheckedContinuation<Void, Never>] = []

    func take() async throws {
        if free > 0 {
            free -= 1
            return
        }
        await withCheckedContinuation { waiting.append($0) }
    }

    func give() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }
}
