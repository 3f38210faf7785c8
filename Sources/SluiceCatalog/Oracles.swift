import EthereumConnector
public import SluiceConfig
public import SluiceCore
public import SluiceNet
public import SluiceTelemetry

extension Catalog {
    /// The oracle that serves some registers of a network. It connects to nothing yet.
    public static func oracle(
        _ network: NetworkSettings, registers: [Register], http: HTTPClient, recent: any RecentBlocks, time: TimeSource, random: SeededRandom,
        log: Log, observe: @escaping @Sendable (OracleEvent) -> Void
    ) -> any Oracle {
        GethBlockOracle(
            network: EthereumNetwork(network), needs: registers.flatMap(\.needs), http: http, recent: recent, time: time, random: random,
            log: log, observe: observe)
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
