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

    private let all = Mutex(State())
    var state: State { all.withLock { $0 } }
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
            var pipe = BalancePipe()
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

/// Addresses that follow from a seed.
func someAddresses(_ count: Int, seed: UInt64 = 3) -> [Address] {
    var random = SeededRandom(seed: seed)
    return (0..<count).compactMap { _ in Address((0..<20).map { _ in UInt8.random(in: 0...255, using: &random) }) }.sorted {
        "\($0)" < "\($1)"
    }
}

/// A set of addresses in memory.
func addressSet(_ addresses: [Address]) async throws -> MemoryState {
    let state = MemoryState()
    try await state.insert(addresses.map(\.description), into: EthereumRegisters.accountBalanceKey.key(of: "p"))
    return state
}

/// What must be there for some blocks of the simulator.
func expectedBalances(_ addresses: [Address], at numbers: [UInt64], of simulator: Simulator) throws -> [BalanceLog.Row] {
    try numbers.flatMap { number -> [BalanceLog.Row] in
        guard let block = try simulator.canonical(number) else { return [] }
        let timestamp = try decode(block.set, number: number).timestamp
        return addresses.map { address in
            BalanceLog.Row(
                address: address, balance: Simulator.balance(of: address.bytes, at: block.ref.hash), block: block.ref,
                timestamp: Int64(timestamp))
        }
    }
}

/// An oracle on simulators, quick to poll and to try again.
func balanceOracle(
    _ ports: [UInt16], _ state: any SharedState, interval: UInt64 = 10, pruned: BalanceOptions.Pruned = .fail, maxBatch: Int = 20,
    needs: [Need] = [], attempts: Int = 12
) throws -> any Oracle {
    var network = try oracle(ports, maxBatch: maxBatch).network
    network.retry.attempts = attempts
    let node = EthereumNode(network, http: try HTTPClient(), time: .live, random: SeededRandom(seed: 5), log: .disabled)
    return EthereumRegisters.oracle(
        node, needs: EthereumRegisters.accountBalance.needs + needs, recent: MemoryBlocks(), balances: BalanceSource(state, pipeline: "p"),
        options: BalanceOptions(intervalBlocks: interval, pruned: pruned))
}
