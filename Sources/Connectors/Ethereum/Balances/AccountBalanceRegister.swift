import SluiceChain
public import SluiceCore

/// The register `account_balance`: native balances of addresses that are asked for.
public enum AccountBalanceRegister {
    public static let name = "account_balance"
    /// Where the shared state keeps the addresses of a pipeline: a flat set, lower case with `0x`.
    public static let stateKey = StateKeyShape(prefix: name, id: "address")

    /// The register for whoever is not known yet; it must be told.
    public static func register(_ options: BalanceOptions = BalanceOptions()) -> Register { register(options, sample: nil) }

    private static func register(_ options: BalanceOptions, sample: Sample?) -> Register {
        Register(
            name: name, number: .accountBalance,
            doc: "Native balances of the addresses that are asked for: at the newest block of each poll, and every so many blocks.",
            schemas: [BalanceTables.balances], needs: [Need(BalanceTables.balances.name, sample: sample)], isAddressed: true,
            stateKey: stateKey,
            tell: { pipeline, held in
                let sample = Sample(
                    pipeline: pipeline, members: held.members, interval: options.intervalBlocks, mayLack: options.pruned == .leaveOut)
                let ask = BalanceAsk(sample)
                return ToldRegister(
                    register(options, sample: sample), understood: ask.addresses.map { .init(member: $0.description) },
                    problems: ask.malformed.map { "'\($0.prefix(80))' is no address (0x and 40 hex digits)" })
            },
            maker: .oracle { BalancePipe(pipeline: sample?.pipeline) })
    }
}
