import SluiceCore
import SluiceTelemetry
import Synchronization

@testable import SluiceFlow

let rowsRegister = Register(
    name: "rows", number: RegisterType(rawValue: 200), doc: "", schemas: [rowsSchema], needs: [Need("rows")], maker: .oracle { PassPipe() })

/// A journal in memory.
final class FakeJournal: StreamJournal {
    let letters = Mutex<[String: [DeadLetter]]>([:])
    private let finality = Mutex<[String: UInt64]>([:])
    func finalized(of stream: StreamID, sink: String) async throws -> UInt64? { finality.withLock { $0["\(stream) \(sink)"] } }
    func setFinalized(_ number: UInt64, of stream: StreamID, sink: String) async throws {
        finality.withLock { $0["\(stream) \(sink)"] = number }
    }
    /// By stream and register.
    let found = Mutex<[String: [Finding]]>([:])
    func findings(of stream: StreamID, register: String, through number: UInt64) async throws -> [Finding] {
        found.withLock { ($0["\(stream) \(register)"] ?? []).filter { $0.block.number <= number } }
    }
    func replaceFindings(_ findings: [Finding], in blocks: ClosedRange<UInt64>, of stream: StreamID, register: String) async throws {
        found.withLock { found in
            let kept = (found["\(stream) \(register)"] ?? []).filter { !blocks.contains($0.block.number) }
            found["\(stream) \(register)"] = (kept + findings).sorted { $0.block.number < $1.block.number }
        }
    }
    func keep(_ new: [DeadLetter], of stream: StreamID) async throws { letters.withLock { $0[stream.pipeline, default: []] += new } }
    func forgetLetters(of stream: StreamID, behind position: Position) async throws {
        letters.withLock { $0[stream.pipeline]?.removeAll { $0.block.number > position.number } }
    }
}

func definition(_ name: String, start: UInt64?, registers: [Register] = [rowsRegister]) -> PipelineDefinition {
    PipelineDefinition(name: name, chainID: 1, registers: registers, start: start)
}

/// A hub over one fake oracle, whatever is needed of it.
func hub(
    _ oracle: FakeOracle, registers: [Register] = [rowsRegister], journal: FakeJournal = FakeJournal(), edgeCapacity: Int = 4096
) -> Hub {
    // Waits between tries are cut short: nothing here waits for anything real.
    let time = TimeSource(now: { .zero }, sleep: { _ in try await Task.sleep(for: .milliseconds(1)) })
    let registry: Registry
    do { registry = try Registry(registers) } catch { preconditionFailure("\(error)") }
    return Hub(
        Hub.Surroundings(registry: registry, journal: journal, time: time, log: .disabled, edgeCapacity: edgeCapacity) {
            needs, observe in
            oracle.made(for: needs)
            return oracle
        })
}

/// Lets a hub work for as long as the body does, and until all that joined it has ended.
func working<R: Sendable>(_ hub: Hub, _ body: () async throws -> R) async throws -> R {
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await hub.run() }
        let result = try await body()
        hub.end()
        try await group.waitForAll()
        return result
    }
}

/// One pipeline, run until it ends or is told to stop.
struct Run: Sendable {
    let hub: Hub
    let definition: PipelineDefinition
    let sinks: [SinkAttachment]
    let progress: PipelineProgress
    let stop: StopSignal

    func follow(until: UInt64?) async throws { _ = try await run(.follow(until: until)) }
    func backfill(_ range: ClosedRange<UInt64>) async throws -> Bool { try await run(.range(range)) }

    private func run(_ goal: Branch.Goal) async throws -> Bool {
        let branch = Branch(definition, goal: goal, sinks: sinks, progress: progress)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await hub.run() }
            group.addTask {
                await stop.wait()
                branch.leave()
            }
            hub.join([branch])
            let end = await branch.ended()
            hub.end()
            group.cancelAll()
            while try await group.next() != nil {}
            switch end {
            case .completed: return true
            case .left: return false
            case .failed(let error): throw error
            }
        }
    }
}
