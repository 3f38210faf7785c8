import SluiceChain
import SluiceCore

/// What accounts have at the blocks of a chain: what they had before it, and what its blocks moved since.
///
/// It notes a balance when it changes: about 2 KB a block of two dozen transactions. Sums wrap at 2^256, because the amounts of a generated
/// chain go that far.
struct Ledger {
    private struct Change {
        let number: UInt64
        let balance: UInt256
    }

    /// By account, in ascending order of their blocks.
    private var changes: [[UInt8]: [Change]]
    private let first: UInt64
    /// The last block that is taken in; nil before the first one.
    private(set) var height: UInt64?

    /// - Parameters:
    ///   - funded: accounts that have something before the first block.
    ///   - first: the number of the first block.
    init(funded: [[UInt8]], first: UInt64) {
        self.first = first
        changes = Dictionary(funded.map { ($0, [Change(number: 0, balance: Self.fund)]) }, uniquingKeysWith: { one, _ in one })
    }

    /// What a funded account has before the first block: a million ether, in wei.
    static let fund = UInt256(low: 1_000_000_000_000_000_000_000_000)

    /// The block that must be taken in next.
    var next: UInt64 { height.map { $0 + 1 } ?? first }

    /// Takes in the next block.
    mutating func take(_ block: GeneratedBlock) {
        precondition(block.header.number == next, "block \(block.header.number) is not the next one")
        for (account, moved) in block.moves where moved != .zero {
            let before = changes[account]?.last?.balance ?? .zero
            changes[account, default: []].append(Change(number: next, balance: before.wrappingAdd(moved)))
        }
        height = next
    }

    /// Forgets the blocks behind a number.
    mutating func rollback(to number: UInt64) {
        guard let height, height > number else { return }
        for account in changes.keys {
            while let last = changes[account]?.last, last.number > number { changes[account]?.removeLast() }
        }
        self.height = number < first ? nil : number
    }

    /// What an account has after a block that was taken in.
    func balance(of account: [UInt8], at number: UInt64) -> UInt256 {
        guard let own = changes[account] else { return .zero }
        var (low, high) = (0, own.count)
        while low < high {
            let middle = low + (high - low) / 2
            if own[middle].number <= number { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? .zero : own[low - 1].balance
    }
}

extension GeneratedBlock {
    /// What the block adds to the accounts that it touches; what it takes away counts from 2^256 down.
    var moves: [[UInt8]: UInt256] {
        var moves: [[UInt8]: UInt256] = [:]
        func move(_ amount: UInt256, to account: [UInt8]) {
            moves[account, default: .zero] = moves[account, default: .zero].wrappingAdd(amount)
        }
        let baseFee = UInt64(clamping: header.baseFeePerGas?.low ?? 0)
        for transaction in transactions {
            let blobGas = UInt64(transaction.blobHashes.count) * GeneratedTransaction.blobGas
            // A unit of blob gas costs one wei here; all but the tip is burnt.
            let fee = Self.product(transaction.gasUsed, transaction.gasPrice).wrappingAdd(UInt256(blobGas))
            move(fee.negated, to: transaction.from)
            move(Self.product(transaction.gasUsed, transaction.gasPrice - baseFee), to: header.miner.bytes)
            guard transaction.succeeded, let receiver = transaction.to ?? transaction.contract else { continue }
            move(transaction.value.negated, to: transaction.from)
            move(transaction.value, to: receiver)
        }
        for withdrawal in withdrawals { move(Self.product(withdrawal.amount, 1_000_000_000), to: withdrawal.address) }
        return moves
    }

    private static func product(_ a: UInt64, _ b: UInt64) -> UInt256 { UInt256(low: UInt128(a) * UInt128(b)) }
}

extension UInt256 {
    fileprivate func wrappingAdd(_ other: UInt256) -> UInt256 { addingReportingOverflow(other).partialValue }
    /// What makes nothing of it when it is added.
    fileprivate var negated: UInt256 { UInt256(high: ~high, low: ~low).wrappingAdd(UInt256(1)) }
}
