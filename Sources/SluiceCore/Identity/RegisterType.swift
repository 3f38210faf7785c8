/// The number of a register, as identifiers carry it. This list is where numbers are handed out: a new register takes the next
/// one, and a register that is given up leaves its number unused.
public struct RegisterType: NumberedName {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let names = [
        "account_balance", "geth_block", "event_log", "blocks", "transactions", "logs", "erc20_transfers", "erc721_transfers",
        "erc1155_transfers", "withdrawals", "block_bundles", "kafka_records",
    ]

    public static let accountBalance = Self(rawValue: 1)
    public static let gethBlock = Self(rawValue: 2)
    public static let eventLog = Self(rawValue: 3)
    public static let blocks = Self(rawValue: 4)
    public static let transactions = Self(rawValue: 5)
    public static let logs = Self(rawValue: 6)
    public static let erc20Transfers = Self(rawValue: 7)
    public static let erc721Transfers = Self(rawValue: 8)
    public static let erc1155Transfers = Self(rawValue: 9)
    public static let withdrawals = Self(rawValue: 10)
    public static let blockBundles = Self(rawValue: 11)
    public static let kafkaRecords = Self(rawValue: 12)
}
