import RedisConnector
public import SluiceConfig
public import SluiceCore
public import SluiceTelemetry

extension Catalog {
    /// Where several processes can keep what they share.
    public static let states: [StateConnector] = [
        StateConnector(
            SharedStateOptions("redis", "A Redis server.", RedisOptions.spec, check: RedisOptions.problems)
        ) { options, time, log in
            let options = try RedisOptions(options)
            let redis = try await RedisState.open(options, time: time, log: log)
            return OpenedState(redis, reader: redis.impatient, shown: options.shown) { await redis.close() }
        }
    ]

    /// The shared state of a configuration: where it says, else what is in the state file.
    public static func state(
        of configuration: SluiceConfiguration, time: TimeSource = .live, log: Log, stored: () async throws -> any SharedState
    ) async throws -> OpenedState {
        guard let shared = configuration.sharedState, let kind = states.first(where: { $0.options.name == shared.store }) else {
            let stored = try await stored()
            return OpenedState(stored, reader: stored, shown: "the state file \(configuration.state)") {}
        }
        return try await kind.open(shared.options, time, log)
    }
}
