public import SluiceConfig

extension BalanceOptions {
    /// What a configuration may say, where a pipeline asks for balances.
    public static let fields = [
        FieldSpec(
            "balance_interval_blocks", .int(1...10_000_000),
            "Blocks from one sample of balances to the next. Live, the newest block of each poll is sampled besides.", default: "300",
            unit: "blocks"),
        FieldSpec(
            "balance_pruned", .choice(Pruned.allCases.map(\.rawValue)),
            "What a backfill does about a sampled block whose state no endpoint has: `fail`, or `leave_out` and keep a dead letter.",
            default: "fail"),
    ]

    /// Out of checked options.
    public init(_ options: ConfigObject) {
        self.init(
            intervalBlocks: UInt64(options.int("balance_interval_blocks")),
            pruned: Pruned(rawValue: options.string("balance_pruned")) ?? .fail)
    }
}
