import SluiceChain
import SluiceCore
import SluiceNet
import SluiceSimulator
import SluiceTelemetry
import Synchronization

@testable import EthereumConnector

/// Keeps balances by block as a store would, and what the register reports.
final class BalanceLog: Egress {
    struct Row: Hashable, CustomStringConvertible {
        let address: Address
        let balance: UInt256
        let block: BlockRef
        /// Seconds since 1970.
        let timestamp: Int64
        var description: String { "\(address) \(balance) at \(block)" }
    }

    struct State {
        var blocks: [BlockRef] = []
        var rows: [Row] = []
        var letters: [DeadLetter] = []
        var filtered: [String: Int] = [:]
        var rollbacks: [Position] = []
        var batches: [ClosedRange<UInt64>] = []
        var violations: [String] = []
        var logRows = 0
    }

    private let pipeline: String
    private let all = Mutex(State())
    var state: State { all.withLock { $0 } }

    /// What a pipeline gets of it.
    init(_ pipeline: String = "p") { self.pipeline = pipeline }

    var last: BlockRef? { state.blocks.last }

    func send(_ transit: Transit) async throws {
        switch transit {
        case .finalized: break
        case .rollback(let position):
            all.withLock { state in
                state.rollbacks.append(position)
                state.blocks.removeAll { $0.number > position.number }
                state.rows.removeAll { $0.block.number > position.number }
                state.letters.removeAll { $0.block.number > position.number }
            }
        case .batch(let batch):
            var report = PipeReport()
            var pipe = BalancePipe(pipeline: pipeline)
            let table = try pipe.transform(batch, report: &report)[0]
            let rows = (0..<table.rowCount).map { row in
                func load<T: BitwiseCopyable>(_ name: String) -> T? { table.column(name)?.load(row, as: T.self) }
                return Row(
                    address: table.column("address").flatMap { Address($0.bytes(row)) } ?? .zero, balance: load("balance") ?? .zero,
                    block: BlockRef(number: UInt64(load("block_number") ?? Int64(0)), hash: load("block_hash") ?? .zero),
                    timestamp: (load("block_timestamp") ?? Int64(0)) / 1_000_000)
            }
            all.withLock { state in
                if let last = state.blocks.last, last.number + 1 != batch.span.first || last.hash != batch.span.parentHash {
                    state.violations.append("batch \(batch.span.first) behind \(last)")
                }
                state.batches.append(batch.span.first...batch.span.last.number)
                for number in batch.span.first...batch.span.last.number {
                    state.blocks.append(BlockRef(number: number, hash: batch.span.hash(number)))
                }
                for row in rows where batch.span.hash(row.block.number) != row.block.hash { state.violations.append("row \(row)") }
                state.rows += rows
                state.letters += report.deadLetters
                state.filtered.merge(report.filtered, uniquingKeysWith: +)
                state.logRows += batch.table("logs")?.rowCount ?? 0
            }
        }
    }
}

/// Accounts that take part in a generated chain, in ascending order: of most of them the balance changes every few blocks.
func someAddresses(_ count: Int, seed: UInt64 = 7) -> [Address] {
    Array(GeneratorOptions(seed: seed).accounts.compactMap { Address($0) }.sorted { "\($0)" < "\($1)" }.prefix(count))
}

/// What must be there for some blocks of the simulator.
func expectedBalances(_ addresses: [Address], at numbers: [UInt64], of simulator: Simulator) throws -> [BalanceLog.Row] {
    try numbers.flatMap { number -> [BalanceLog.Row] in
        guard let block = try simulator.canonical(number) else { return [] }
        let timestamp = try decode(block.set, number: number).timestamp
        return try addresses.map { address in
            guard let balance = try simulator.balance(of: address.bytes, at: block.ref.hash) else { throw NoBalance() }
            return BalanceLog.Row(address: address, balance: balance, block: block.ref, timestamp: Int64(timestamp))
        }
    }
}

struct NoBalance: Error {}

/// Simulators, quick to poll and to try again.
func balanceNode(_ ports: [UInt16], maxBatch: Int = 20, attempts: Int = 12) throws -> EthereumNode {
    var network = try oracle(ports, maxBatch: maxBatch).network
    network.retry.attempts = attempts
    return EthereumNode(network, http: try HTTPClient(), time: .live, random: SeededRandom(seed: 5), log: .disabled)
}

/// What a pipeline needs that asks for balances.
func balanceNeed(
    _ addresses: [Address], pipeline: String = "p", interval: UInt64 = 10, pruned: BalanceOptions.Pruned = .fail, others: [String] = []
) -> Need {
    let register = AccountBalanceRegister.register(BalanceOptions(intervalBlocks: interval, pruned: pruned))
    let held = StateSnapshot(version: 1, entries: (addresses.map(\.description) + others).map { .init(member: $0) })
    return register.tell?(pipeline, held).register.needs.first ?? Need("")
}

/// An oracle for one pipeline.
func balanceOracle(
    _ ports: [UInt16], _ addresses: [Address], interval: UInt64 = 10, pruned: BalanceOptions.Pruned = .fail, maxBatch: Int = 20,
    needs: [Need] = [], attempts: Int = 12, others: [String] = [], observe: @escaping @Sendable (OracleEvent) -> Void = { _ in }
) throws -> any Oracle {
    EthereumRegisters.oracle(
        try balanceNode(ports, maxBatch: maxBatch, attempts: attempts),
        needs: [balanceNeed(addresses, interval: interval, pruned: pruned, others: others)] + needs, recent: MemoryBlocks(),
        observe: observe)
}
