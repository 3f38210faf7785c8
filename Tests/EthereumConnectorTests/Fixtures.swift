import Foundation
import SluiceCore
import SluiceFormats
import SluiceNet
import SluiceSimulator
import SluiceTelemetry
import SluiceTestKit
import Synchronization

@testable import EthereumConnector

/// The reply to a batch that asks for a block and its receipts.
func reply(block: [UInt8], receipts: [UInt8]) -> Buffer {
    let body =
        Array(#"[{"jsonrpc":"2.0","id":1,"result":"#.utf8) + block + Array(#"},{"jsonrpc":"2.0","id":2,"result":"#.utf8) + receipts
        + Array("}]".utf8)
    return Buffer(copying: body, padding: JSONReader.padding)
}

/// A decoder for all tables.
func decoder(chainID: UInt64 = 1, needs: [Need] = EthereumTables.all.map { Need($0.name) }, verifies: Bool = true) -> BlockDecoder {
    BlockDecoder(chainID: chainID, plan: FetchPlan(needs: needs), verifiesHeaderHash: verifies)
}

func decode(_ set: SluiceSimulator.BlockSet, number: UInt64, verifies: Bool = true) throws -> DecodedBlock {
    try decoder(verifies: verifies).decodeBlock(reply(block: set.block, receipts: set.receipts), number: number)
}

/// A small generated chain that only grows on command.
func chain(seed: UInt64 = 7, history: Int = 20, _ change: (inout GeneratorOptions) -> Void = { _ in }) -> SimulatorOptions {
    var options = GeneratorOptions(seed: seed)
    options.history = history
    options.transactions = 2...6
    change(&options)
    return SimulatorOptions(.generated(options))
}

/// JSON as Foundation sees it.
typealias Object = [String: Any]

func object(_ bytes: [UInt8]) throws -> Object { try JSONSerialization.jsonObject(with: Data(bytes)) as? Object ?? [:] }
func objects(_ bytes: [UInt8]) throws -> [Object] { try JSONSerialization.jsonObject(with: Data(bytes)) as? [Object] ?? [] }
func text(_ json: Any) throws -> [UInt8] { Array(try JSONSerialization.data(withJSONObject: json)) }

/// The recorded data beside this checkout, or beside a folder above it; nil where there is none.
enum SharedData {
    static let root: URL? = {
        var folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        while folder.path != "/" {
            let candidate = folder.appendingPathComponent("shared/data")
            if FileManager.default.fileExists(atPath: candidate.path) { return candidate }
            folder.deleteLastPathComponent()
        }
        return nil
    }()

    /// What a command writes; `{}` stands for the file.
    static func output(_ arguments: [String], _ file: String) throws -> Data {
        guard let root else { return Data() }
        let process = Process()
        let pipe = Foundation.Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments.map { $0 == "{}" ? root.appendingPathComponent(file).path : $0 }
        process.standardOutput = pipe
        try process.run()
        let data = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return data
    }

    /// Whole recorded blocks of mainnet, each with its receipts.
    static let mainnet = Result {
        try output(["zstd", "-dc", "{}"], "mainnet/complete_blocks.jsonl.zst").split(separator: UInt8(ascii: "\n")).map { Array($0) }
    }
}

/// A rollup of every row of a table, by block.
func digests(_ table: Table) -> [UInt64: Int] {
    guard let numbers = table.schema.blockNumberField.flatMap({ table.column($0) }) else { return [:] }
    var digests: [UInt64: Hasher] = [:]
    for row in 0..<table.rowCount {
        let number = UInt64(numbers.load(row, as: Int64.self))
        var hasher = digests[number] ?? Hasher()
        for column in table.columns {
            hasher.combine(column.isNull(row))
            if !column.isNull(row) { hasher.combine(bytes: column.bytes(row)) }
        }
        digests[number] = hasher
    }
    return digests.mapValues { $0.finalize() }
}

/// Keeps what comes, and undoes what is undone, as a store would.
final class MemoryEgress: Egress {
    struct Block: Equatable {
        let ref: BlockRef
        var rows: [String: Int] = [:]
    }

    struct State {
        var blocks: [Block] = []
        var rollbacks: [Position] = []
        var finalized: [UInt64] = []
        var violations: [String] = []
        var batches = 0
    }

    private let all = Mutex(State())
    private let pipes: [any SluiceCore.Pipe]

    init(_ registers: [String] = ["geth_block"]) {
        let context = ComponentContext(pipeline: "test")
        pipes = registers.compactMap { name in try? EthereumRegisters.all.first { $0.name == name }?.makePipe(context) }
    }

    var state: State { all.withLock { $0 } }
    var last: BlockRef? { all.withLock { $0.blocks.last?.ref } }

    /// A store that holds blocks up to there already, of which nothing more is known.
    func begin(at position: Position) { all.withLock { $0.blocks = [Block(ref: position)] } }

    func send(_ transit: Transit) async throws {
        switch transit {
        case .finalized(let number): all.withLock { $0.finalized.append(number) }
        case .rollback(let position):
            all.withLock { state in
                state.rollbacks.append(position)
                if let finalized = state.finalized.max(), position.number < finalized {
                    state.violations.append("rollback below \(finalized)")
                }
                state.blocks.removeAll { $0.ref.number > position.number }
                if let last = state.blocks.last, last.ref != position {
                    state.violations.append("rollback to \(position), not \(last.ref)")
                }
            }
        case .batch(let batch):
            let blocks = try rows(of: batch)
            all.withLock { state in
                state.batches += 1
                if let last = state.blocks.last, last.ref.number + 1 != batch.span.first || last.ref.hash != batch.span.parentHash {
                    state.violations.append("batch \(batch.span.first) behind \(last.ref)")
                }
                state.blocks += blocks
            }
        }
    }

    private func rows(of batch: Batch) throws -> [Block] {
        var blocks = (0..<batch.span.count).map { index in
            let number = batch.span.first + UInt64(index)
            return Block(ref: BlockRef(number: number, hash: batch.span.hash(number)))
        }
        for var pipe in pipes {
            var report = PipeReport()
            for table in try pipe.transform(batch, report: &report) {
                let digests = digests(table)
                for index in blocks.indices { blocks[index].rows[table.schema.name] = digests[blocks[index].ref.number] }
            }
        }
        return blocks
    }
}

/// What the tables of some registers must hold, from the simulator's own text of its canonical blocks.
func expected(_ range: ClosedRange<UInt64>, of simulator: Simulator, _ registers: [String] = ["geth_block"]) async throws -> [MemoryEgress
    .Block]
{
    let egress = MemoryEgress(registers)
    for number in range {
        guard let block = try simulator.canonical(number) else { continue }
        let decoded = try decode(block.set, number: number)
        if let batch = DecodedBlock.batch([decoded], chainID: 1) { try await egress.send(.batch(batch)) }
    }
    return egress.state.blocks
}

/// Remembers blocks in memory, across oracles.
final class MemoryBlocks: RecentBlocks {
    private let links = Mutex<[Hash32: BlockLink]>([:])
    private let highest = Mutex<UInt64?>(nil)

    func ancestors(of position: Position) async throws -> [BlockRef] {
        links.withLock { links in
            var found: [BlockRef] = []
            var hash = position.hash
            while let link = links[hash] {
                found.insert(link.ref, at: 0)
                hash = link.parentHash
            }
            return found
        }
    }

    func remember(_ new: [BlockLink]) async throws { links.withLock { links in for link in new { links[link.ref.hash] = link } } }
    func finalized() async throws -> UInt64? { highest.withLock { $0 } }

    func finalize(through number: UInt64) async throws {
        highest.withLock { $0 = max($0 ?? 0, number) }
        links.withLock { $0 = $0.filter { $0.value.ref.number >= number } }
    }
}

/// What an oracle told.
final class Events: Sendable {
    private let all = Mutex<[Int]>([])
    var depths: [Int] { all.withLock { $0 } }
    func note(_ event: OracleEvent) { if case .reorganisation(let depth) = event { all.withLock { $0.append(depth) } } }
}

/// An oracle on simulators, quick to poll and to try again.
func oracle(
    _ ports: [UInt16], registers: [String] = ["geth_block"], chainID: UInt64 = 1, finalityDepth: UInt64 = 16, maxBatch: Int = 20,
    recent: MemoryBlocks = MemoryBlocks(), events: Events = Events()
) throws -> GethBlockOracle {
    var limits = HTTPLimits()
    limits.connect = .seconds(2)
    limits.firstByte = .milliseconds(150)
    limits.total = .seconds(5)
    let network = EthereumNetwork(
        name: "test", chainID: chainID,
        endpoints: ports.map { EndpointConfiguration(url: "http://127.0.0.1:\($0)/", maxInFlight: 8, maxBatch: maxBatch) },
        pollInterval: .milliseconds(2), finalityDepth: finalityDepth, verifiesHeaderHash: true, limits: limits,
        retry: RetryPolicy(base: .milliseconds(1), cap: .milliseconds(20), attempts: 12, retryAfterCap: .milliseconds(20)))
    let needs = registers.flatMap { name in EthereumRegisters.all.first { $0.name == name }?.needs ?? [] }
    let node = EthereumNode(network, http: try HTTPClient(), time: .live, random: SeededRandom(seed: 5), log: .disabled)
    return GethBlockOracle(node: node, needs: needs, recent: recent, observe: { events.note($0) })
}
