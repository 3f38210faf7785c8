import EthereumConnector
public import SluiceConfig
public import SluiceCore
import SluiceFlow
public import SluiceNet
public import SluiceTelemetry

extension Catalog {
    /// Makes an oracle that reads what is needed.
    public typealias MakeOracle = @Sendable (_ needs: [Need], _ observe: @escaping @Sendable (OracleEvent) -> Void) -> any Oracle

    /// What makes the oracles of a network. They share its endpoints and limits; nothing is connected to yet.
    public static func oracles(
        _ network: NetworkSettings, http: HTTPClient, recent: any RecentBlocks, time: TimeSource, random: SeededRandom, log: Log
    ) -> MakeOracle {
        reading(network, http: http, recent: recent, time: time, random: random, log: log).oracles
    }

    /// The same, and how the endpoints fare.
    public static func reading(
        _ network: NetworkSettings, http: HTTPClient, recent: any RecentBlocks, time: TimeSource, random: SeededRandom, log: Log
    ) -> (oracles: MakeOracle, endpoints: @Sendable () -> [EndpointSnapshot]) {
        let node = EthereumNode(EthereumNetwork(network), http: http, time: time, random: random, log: log)
        return (
            { needs, observe in EthereumRegisters.oracle(node, needs: needs, recent: recent, observe: observe) }, { node.endpoints }
        )
    }
}

/// What an oracle asks its endpoints for, on the average of a long range.
public struct FetchSummary: Sendable {
    /// One JSON-RPC method and what it is asked for.
    public struct Call: Sendable {
        public let method: String
        public let what: String
        /// On the average of a long range.
        public let perBlock: Double
        /// At the head, a block at a time.
        public let perBlockAtHead: Double
        /// What one costs in compute units of a provider, by our own table (see `ComputeUnits`).
        public let units: Int

        /// First topics and contracts that are asked for; empty for all.
        public let topics: [String]
        public let addresses: [String]

        init(
            _ method: String, _ what: String, perBlock: Double, perBlockAtHead: Double? = nil, topics: [String] = [],
            addresses: [String] = []
        ) {
            self.perBlockAtHead = perBlockAtHead ?? perBlock
            self.topics = topics
            self.addresses = addresses
            self.method = method
            self.what = what
            self.perBlock = perBlock
            units = ComputeUnits.of(method)
        }
    }

    public let calls: [Call]
    public var callsPerBlock: Double { calls.reduce(0) { $0 + $1.perBlock } }
}

extension Catalog {
    /// What the oracle of a network fetches for some registers, worked out without connecting.
    public static func fetch(_ registers: [Register], on network: NetworkSettings? = nil) -> FetchSummary {
        fetch([registers], on: network)
    }

    /// What it fetches for several pipelines at once, each with registers of its own.
    public static func fetch(_ pipelines: [[Register]], on network: NetworkSettings? = nil) -> FetchSummary {
        // A service is not asked for blocks: what it has comes by itself.
        if network?.service != nil { return FetchSummary(calls: []) }
        var needs: [Need] = []
        for registers in pipelines {
            // Registers of the catalog are known to its registry.
            let own = (try? registry().with(registers).needs(of: registers.map(\.name))) ?? registers.flatMap(\.needs)
            needs += own.filter { !needs.contains($0) }
        }
        let plan = FetchPlan(needs: needs)
        var calls = [
            FetchSummary.Call(
                "eth_getBlockByNumber", "header and " + (plan.transactions ? "whole transactions" : "hashes of transactions"), perBlock: 1)
        ]
        if plan.receipts {
            calls.append(FetchSummary.Call("eth_getBlockReceipts", "all receipts with their logs", perBlock: 1))
        }
        if let filter = plan.logFilter {
            var what = filter.topics.isEmpty ? "all logs" : "logs of \(filter.topics.count) event\(filter.topics.count == 1 ? "" : "s")"
            if !filter.addresses.isEmpty { what += " of \(filter.addresses.count) contract\(filter.addresses.count == 1 ? "" : "s")" }
            calls.append(
                FetchSummary.Call(
                    "eth_getLogs", what, perBlock: plan.callsPerBlock - 1, topics: filter.topics.map { "\($0)" },
                    addresses: filter.addresses.map { "\($0)" }))
        }
        if let balances = BalanceCost(needs: needs) {
            // Where blocks come faster than the head is asked for, not every one is the newest.
            let share = network.map { min(1, $0.blockTime / $0.pollInterval) } ?? 1
            calls.append(
                FetchSummary.Call(
                    "eth_getBalance", "balances of \(balances.addresses) address\(balances.addresses == 1 ? "" : "es")",
                    perBlock: balances.perBlock, perBlockAtHead: balances.perBlock(atHead: share)))
        }
        return FetchSummary(calls: calls)
    }
}

extension EthereumNetwork {
    /// A network as it is configured.
    fileprivate init(_ settings: NetworkSettings) {
        let limits = HTTPLimits(
            connect: settings.connectTimeout, firstByte: settings.requestTimeout, total: settings.requestTimeout,
            responseBytes: settings.maxResponse)
        let endpoints = settings.endpoints.map { endpoint in
            EndpointConfiguration(
                url: endpoint.url.reveal(), headers: endpoint.headers.map { ($0.name, $0.value.reveal()) },
                requestsPerSecond: endpoint.requestsPerSecond, computeUnitsPerSecond: endpoint.computeUnitsPerSecond,
                maxInFlight: endpoint.maxInFlight, maxBatch: endpoint.maxBatch)
        }
        self.init(
            name: settings.name, chainID: settings.chainID, endpoints: endpoints, pollInterval: settings.pollInterval,
            finalityDepth: settings.finalityDepth, verifiesHeaderHash: settings.verify == .full, limits: limits,
            retry: RetryPolicy(attempts: settings.retryAttempts, budget: settings.retryBudget), memoryBudget: settings.memoryBudget)
    }
}
