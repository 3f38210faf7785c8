import SluiceCore

/// Tables that can be asked for by name, and that `sluice migrate` makes.
public enum ClickHouseTableSet: String, Sendable, Hashable, CaseIterable {
    /// Avalanche's chains, blocks, transfers, staking, metrics, exchanges and bridges.
    case avalanche

    /// The set's tables.
    var tables: [String] {
        ClickHouseMigrations.all.filter { $0.migration.set == rawValue }.flatMap(\.tables).map(\.name)
    }
}
