import EthereumConnector
import Foundation
import SluiceChain
import SluiceCore
import SluiceNet
import SluiceSimulator
import SluiceTelemetry
import SluiceTestKit
import Synchronization
import Testing

@testable import SluiceFlow

/// A simulated node, and the real oracles over it: real HTTP, a generated chain that grows on command.
struct DocumentNode: Sendable {
    let simulator: Simulator
    let port: UInt16
    let chainID: UInt64
    private let http: HTTPClient

    /// Runs a node for the length of a test.
    static func run(
        chainID: UInt64 = 1, seed: UInt64 = 7, first: UInt64 = 20_000_000, history: Int = 20, blockSeconds: UInt64 = 12,
        transactions: ClosedRange<Int> = 2...6, _ body: (DocumentNode) async throws -> Void
    ) async throws {
        var options = GeneratorOptions(seed: seed)
        options.chainID = chainID
        options.first = first
        options.history = history
        options.blockSeconds = blockSeconds
        options.transactions = transactions
        try await withSimulator(SimulatorOptions(.generated(options))) { simulator, port in
            try await body(DocumentNode(simulator: simulator, port: port, chainID: chainID, http: try HTTPClient()))
        }
    }

    /// How often something was asked for.
    func calls(_ method: String) -> Int { simulator.statistics.calls[method] ?? 0 }

    // MARK: - What reads it

    /// What makes oracles of it, as the catalogue does.
    func makeOracle(recent: any RecentBlocks = MemoryRecentBlocks()) -> Hub.MakeOracle {
        var limits = HTTPLimits()
        limits.total = .seconds(20)
        let network = EthereumNetwork(
            name: "node", chainID: chainID, endpoints: [EndpointConfiguration(url: "http://127.0.0.1:\(port)/")],
            pollInterval: .milliseconds(5), finalityDepth: 16, verifiesHeaderHash: true, limits: limits)
        let node = EthereumNode(network, http: http, time: .live, random: SeededRandom(seed: 5), log: .disabled)
        return { needs, observe in EthereumRegisters.oracle(node, needs: needs, recent: recent, observe: observe) }
    }

    /// The register of balances, as a pipeline has it that wants them every so many blocks.
    static func balances(every blocks: UInt64 = 300) -> Register { AccountBalanceRegister.register(BalanceOptions(intervalBlocks: blocks)) }

    /// All registers of the connector.
    static let registers = EthereumRegisters.all

    static func register(_ name: String) throws -> Register { try #require(registers.first { $0.name == name }) }

    /// A hub over it.
    func hub(_ more: [Register] = [], kind: NetworkKind = .layer1) throws -> Hub {
        Hub(
            Hub.Surroundings(
                registry: try Registry(Self.registers + more), journal: FakeJournal(), time: .live, log: .disabled,
                identities: ComponentIdentities(network: kind, type: .live, random: SeededRandom(seed: chainID)), makeOracle: makeOracle()))
    }

    /// Whole blocks, read by the oracle.
    func read(_ range: ClosedRange<UInt64>) async throws -> [Batch] {
        let collector = BatchCollector()
        try await makeOracle()(EthereumTables.all.map { Need($0.name) }, { _ in }).backfill(range, after: nil, into: collector)
        return collector.batches
    }

    // MARK: - What it says itself

    typealias Object = [String: Any]

    /// A block as the node has it.
    func block(_ number: UInt64) throws -> Object {
        let bytes = try #require(try simulator.canonical(number)).block
        return try JSONSerialization.jsonObject(with: Data(bytes)) as? Object ?? [:]
    }

    /// The logs of a block as the node has them, in order.
    func logs(_ number: UInt64) throws -> [Object] {
        let bytes = try #require(try simulator.canonical(number)?.receipts)
        let receipts = try JSONSerialization.jsonObject(with: Data(bytes)) as? [Object] ?? []
        return receipts.flatMap { $0["logs"] as? [Object] ?? [] }
    }

    /// Accounts that send transactions, each once.
    func accounts(_ count: Int) throws -> [Address] {
        var found: [Address] = []
        for number in stride(from: simulator.head, to: simulator.head - 15, by: -1) {
            for transaction in try block(number)["transactions"] as? [Object] ?? [] {
                guard let address = (transaction["from"] as? String).flatMap(Address.init(hex:)), !found.contains(address) else { continue }
                found.append(address)
            }
        }
        try #require(found.count >= count)
        return found.prefix(count).sorted { "\($0)" < "\($1)" }
    }

    /// What the node says that an account has after a block: asked by the test itself, not by an oracle.
    func balance(of address: Address, at number: UInt64) async throws -> UInt256 {
        let question =
            #"{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["\#(address)","\#(Hex.quantity(number))"]}"#
        let request = HTTPRequest(
            method: "POST", url: "http://127.0.0.1:\(port)/", headers: [("Content-Type", "application/json")], body: Array(question.utf8))
        let body = try await http.send(request).checked().body
        let answer = try JSONSerialization.jsonObject(with: Data(body.bytes)) as? Object
        return try #require((answer?["result"] as? String).flatMap { Hex.wideQuantity($0) })
    }
}

/// Keeps batches.
final class BatchCollector: Egress {
    private let kept = Mutex<[Batch]>([])
    var batches: [Batch] { kept.withLock { $0 } }
    func send(_ transit: Transit) async throws { if case .batch(let batch) = transit { kept.withLock { $0.append(batch) } } }
}

/// A row of balances.
struct BalanceRow: Hashable, CustomStringConvertible {
    let address: Address
    let balance: UInt256
    let block: UInt64
    var description: String { "\(address) has \(balance) at \(block)" }
}

extension TableSink {
    /// The balances that it holds, in order.
    var balances: [BalanceRow] {
        tables(BalanceTables.balances.name).flatMap { table in
            (0..<table.rowCount).compactMap { row in
                guard let address = table.column("address").flatMap({ Address($0.bytes(row)) }), let balances = table.column("balance"),
                    let blocks = table.column("block_number")
                else { return nil }
                return BalanceRow(
                    address: address, balance: balances.load(row, as: UInt256.self), block: UInt64(blocks.load(row, as: Int64.self)))
            }
        }
    }
}

extension DocumentNode {
    /// What the balances of some accounts must be at some blocks.
    func balances(of addresses: [Address], at blocks: [UInt64]) async throws -> [BalanceRow] {
        var rows: [BalanceRow] = []
        for number in blocks {
            for address in addresses {
                rows.append(BalanceRow(address: address, balance: try await balance(of: address, at: number), block: number))
            }
        }
        return rows
    }
}
