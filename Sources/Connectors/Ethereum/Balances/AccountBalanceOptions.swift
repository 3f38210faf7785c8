import SluiceChain
public import SluiceConfig
import SluiceCore

/// What a pipeline tells the register `account_balance`: its key `balances`.
public enum AccountBalanceOptions {
    public static let options = RegisterOptions(AccountBalanceRegister.name, field) { value, _, report in
        guard let object = value.object, object.isWhole(spec) else { return nil }
        let listed = object.list("addresses").enumerated().map { index, value in
            OptionAddress.read(value, ".addresses[\(index)]", report)
        }
        let addresses = listed.compactMap { $0 }
        guard addresses.count == listed.count else { return nil }
        let options = BalanceOptions(
            intervalBlocks: UInt64(object.int("interval_blocks")),
            pruned: BalanceOptions.Pruned(rawValue: object.string("pruned")) ?? .fail)
        let whose = Set(addresses).map(\.description).sorted()
        let often = options.intervalBlocks == 1 ? "at every block" : "every \(options.intervalBlocks) blocks"
        return ConfiguredRegister(
            AccountBalanceRegister.register(options), entries: whose.map { StateSnapshot.Entry(member: $0) },
            summary: [
                "balances of \(OptionAddress.list(whose)), \(often) and at the head",
                "history that no endpoint has the state of: " + (options.pruned == .fail ? "an error" : "left out, with a dead letter"),
            ])
    }

    static let field = FieldSpec(
        "balances", .object(spec), "For the register `account_balance`: whose balances are wanted, and how often.",
        example: "{ addresses: [\"0x...\"] }")

    private static let spec = ObjectSpec(
        "Balances of accounts. More addresses can be asked for while it runs: see `sluice addresses`.",
        [
            FieldSpec(
                "addresses", .list(.string, count: 0...100_000), "The accounts.", default: "[]", example: "[\"0x...\", \"0x...\"]"),
            FieldSpec(
                "interval_blocks", .int(1...10_000_000),
                "A block is sampled when the number behind it is a multiple of this. The newest block of each poll, and the last one of a range, are sampled besides.",
                default: "300", unit: "blocks"),
            FieldSpec(
                "pruned", .choice(BalanceOptions.Pruned.allCases.map(\.rawValue)),
                "What a backfill does about a sampled block whose state no endpoint has: `fail`, or `leave_out` and keep a dead letter.",
                default: "fail"),
        ])
}
