import SluiceChain
public import SluiceCore
import SluiceFormats

extension SluiceError.Code {
    /// What an endpoint said about one block contradicts itself.
    public static let inconsistentBlock = SluiceError.Code("inconsistent_block")
}

/// Holds everything that was read about one block against everything else that was: a block is believed only when its parts agree.
/// The first contradiction is thrown with both values; the endpoint is then to blame, and the block is fetched elsewhere.
struct BlockCheck {
    /// Whether the hash of the header is computed anew. Off for networks whose headers are hashed in another way.
    let verifiesHeaderHash: Bool

    /// - Throws: `inconsistent_block` (class `endpoint`) with the place, what was expected and what stood there.
    func verify(_ set: BlockSet, number: UInt64) throws(SluiceError) {
        let evidence = Evidence(number: number, hash: set.hash)
        guard set.number == number else { throw evidence.contradiction("number", expected: number, found: set.number) }
        if verifiesHeaderHash { try verifyHeader(set, evidence) }
        try verifyWithdrawals(set, evidence)
        if let transactions = set.transactions { try verify(transactions: transactions, of: set, evidence) }
        if let receipts = set.receipts { try verify(receipts: receipts, of: set, evidence) }
        if let logs = set.logs { try verify(logs: logs, of: set, evidence) }
    }

    private func verifyHeader(_ set: BlockSet, _ evidence: Evidence) throws(SluiceError) {
        guard let header = BlockHeader(set.header) else {
            throw evidence.contradiction("header", expected: "all fields of an Ethereum header", found: "some are missing")
        }
        let hash = header.hash()
        guard hash == set.hash else { throw evidence.contradiction("hash", expected: hash, found: set.hash) }
    }

    private func verifyWithdrawals(_ set: BlockSet, _ evidence: Evidence) throws(SluiceError) {
        let index = set.withdrawals.column("index")
        for row in 1..<max(1, set.withdrawals.rowCount) {
            let expected = index.load(row - 1, as: Int64.self) &+ 1
            guard index.load(row, as: Int64.self) == expected else {
                throw evidence.contradiction("withdrawal \(row), index", expected: expected, found: index.load(row, as: Int64.self))
            }
        }
        let root = set.header.column("withdrawals_root")
        guard verifiesHeaderHash, !root.isNull(0) else { return }
        let found = TrieRoot.ordered(Self.encoded(set.withdrawals))
        guard found == root.load(0, as: Hash32.self) else {
            throw evidence.contradiction("withdrawalsRoot", expected: root.load(0, as: Hash32.self), found: found)
        }
    }

    /// What the trie of withdrawals holds.
    private static func encoded(_ withdrawals: JSONTable) -> [[UInt8]] {
        let index = withdrawals.column("index")
        let validator = withdrawals.column("validator_index")
        let address = withdrawals.column("address")
        let amount = withdrawals.column("amount")
        return (0..<withdrawals.rowCount).map { row in
            var rlp = RLP(capacity: 48)
            rlp.list {
                $0.append(integer: index.load(row, as: UInt64.self))
                $0.append(integer: validator.load(row, as: UInt64.self))
                $0.append(bytes: address.bytes(row))
                $0.append(integer: amount.load(row, as: UInt64.self))
            }
            return rlp.bytes
        }
    }

    private func verify(transactions: JSONTable, of set: BlockSet, _ evidence: Evidence) throws(SluiceError) {
        try verifyPlaces(transactions, "transaction", of: set, evidence)
        let index = transactions.column("transaction_index")
        for row in 0..<transactions.rowCount where index.load(row, as: Int64.self) != Int64(row) {
            throw evidence.contradiction("transaction \(row), transactionIndex", expected: row, found: index.load(row, as: Int64.self))
        }
    }

    private func verify(receipts: JSONTable, of set: BlockSet, _ evidence: Evidence) throws(SluiceError) {
        try verifyPlaces(receipts, "receipt", of: set, evidence)
        let count = set.transactions?.rowCount ?? Int(set.header.column("transaction_count").load(0, as: Int64.self))
        guard receipts.rowCount == count else {
            throw evidence.contradiction("number of receipts", expected: count, found: receipts.rowCount)
        }
        let index = receipts.column("transaction_index")
        let gas = receipts.column("gas_used")
        let cumulative = receipts.column("cumulative_gas_used")
        var sum: Int64 = 0
        for row in 0..<count {
            guard index.load(row, as: Int64.self) == Int64(row) else {
                throw evidence.contradiction("receipt \(row), transactionIndex", expected: row, found: index.load(row, as: Int64.self))
            }
            sum &+= gas.load(row, as: Int64.self)
            // Rollups sum up otherwise: Arbitrum without what went to L1, Polygon's state receipts with zero. Their hash is not
            // verified either.
            guard cumulative.load(row, as: Int64.self) == sum || !verifiesHeaderHash else {
                throw evidence.contradiction(
                    "receipt \(row), cumulativeGasUsed", expected: sum, found: cumulative.load(row, as: Int64.self))
            }
        }
        let used = set.header.column("gas_used").load(0, as: Int64.self)
        guard sum == used || !verifiesHeaderHash else { throw evidence.contradiction("gasUsed", expected: sum, found: used) }
        if let transactions = set.transactions { try verify(receipts: receipts, against: transactions, evidence) }
    }

    /// A receipt names its transaction three times over: hash, sender and receiver.
    private func verify(receipts: JSONTable, against transactions: JSONTable, _ evidence: Evidence) throws(SluiceError) {
        for (column, mate, key) in [
            ("transaction_hash", "hash", "transactionHash"), ("from_address", "from_address", "from"), ("to_address", "to_address", "to"),
            ("transaction_type", "transaction_type", "type"),
        ] {
            let ours = receipts.column(column)
            let theirs = transactions.column(mate)
            // Rollups and old nodes leave the type, or sender and receiver, out of their receipts.
            let witness = column == "to_address" ? receipts.column("from_address") : ours
            let mayBeLeftOut = column != "transaction_hash"
            for row in 0..<receipts.rowCount where !Self.equal(ours, row, theirs, row) {
                if mayBeLeftOut, witness.isNull(row) || (column == "transaction_type" && theirs.isNull(row)) { continue }
                throw evidence.contradiction("receipt \(row), \(key)", expected: Self.show(theirs, row), found: Self.show(ours, row))
            }
        }
    }

    private func verify(logs: JSONTable, of set: BlockSet, _ evidence: Evidence) throws(SluiceError) {
        try verifyPlaces(logs, "log", of: set, evidence)
        let removed = logs.column("removed")
        for row in 0..<logs.rowCount where !removed.isNull(row) && removed.load(row, as: UInt8.self) != 0 {
            throw evidence.contradiction("log \(row), removed", expected: "false", found: "true")
        }
        let index = logs.column("log_index")
        if set.logsAreComplete {
            for row in 0..<logs.rowCount where index.load(row, as: Int64.self) != Int64(row) {
                throw evidence.contradiction("log \(row), logIndex", expected: row, found: index.load(row, as: Int64.self))
            }
        } else {
            for row in 1..<max(1, logs.rowCount) where index.load(row, as: Int64.self) <= index.load(row - 1, as: Int64.self) {
                throw evidence.contradiction(
                    "log \(row), logIndex", expected: "more than \(index.load(row - 1, as: Int64.self))",
                    found: index.load(row, as: Int64.self))
            }
        }
        if let receipts = set.receipts { try verify(logs: logs, against: receipts, evidence) }
        try verifyBlooms(logs, of: set, evidence)
    }

    private func verify(logs: JSONTable, against receipts: JSONTable, _ evidence: Evidence) throws(SluiceError) {
        let parent = logs.column("receipt")
        for (column, key) in [("transaction_hash", "transactionHash"), ("transaction_index", "transactionIndex")] {
            let ours = logs.column(column)
            let theirs = receipts.column(column)
            for row in 0..<logs.rowCount {
                let receipt = Int(parent.load(row, as: UInt64.self))
                guard Self.equal(ours, row, theirs, receipt) else {
                    throw evidence.contradiction("log \(row), \(key)", expected: Self.show(theirs, receipt), found: Self.show(ours, row))
                }
            }
        }
    }

    private func verifyBlooms(_ logs: JSONTable, of set: BlockSet, _ evidence: Evidence) throws(SluiceError) {
        let header = set.header.column("logs_bloom")
        // Rollups that keep no blooms send none, or zeros: there is nothing to hold the logs against.
        guard !header.isNull(0), verifiesHeaderHash else { return }
        let topics = ["topic0", "topic1", "topic2", "topic3"].map { logs.column($0) }
        let rows = BloomCheck.Logs(address: logs.column("address"), topics: topics)
        let violation: ConsistencyViolation?
        if let receipts = set.receipts {
            let blooms = receipts.column("logs_bloom")
            guard blooms.nullCount == 0 else { throw evidence.contradiction("logsBloom of receipts", expected: "there", found: "missing") }
            violation = BloomCheck.verify(
                rows, receiptOfLog: logs.column("receipt"), receiptBlooms: blooms, headerBloom: header.bytes(0), block: set.number)
        } else {
            violation = BloomCheck.verify(rows, headerBloom: header.bytes(0), complete: set.logsAreComplete, block: set.number)
        }
        if let violation { throw evidence.error(violation) }
    }

    /// Every row names the block by hash and number.
    private func verifyPlaces(_ table: JSONTable, _ name: String, of set: BlockSet, _ evidence: Evidence) throws(SluiceError) {
        let hashes = table.column("block_hash")
        let numbers = table.column("block_number")
        let hash = set.hash
        let number = Int64(clamping: set.number)
        for row in 0..<table.rowCount {
            guard hashes.load(row, as: Hash32.self) == hash else {
                throw evidence.contradiction("\(name) \(row), blockHash", expected: hash, found: Self.show(hashes, row))
            }
            guard numbers.load(row, as: Int64.self) == number else {
                throw evidence.contradiction("\(name) \(row), blockNumber", expected: number, found: numbers.load(row, as: Int64.self))
            }
        }
    }

    private static func equal(_ a: Column, _ i: Int, _ b: Column, _ j: Int) -> Bool {
        if a.isNull(i) || b.isNull(j) { return a.isNull(i) && b.isNull(j) }
        return a.bytes(i).elementsEqual(b.bytes(j))
    }

    private static func show(_ column: Column, _ row: Int) -> String {
        if column.isNull(row) { return "null" }
        return column.type == .int64 ? String(column.load(row, as: Int64.self)) : Hex.text(column.bytes(row))
    }
}

/// Names the block in every contradiction.
private struct Evidence {
    let number: UInt64
    let hash: Hash32

    func contradiction(_ field: String, expected: some CustomStringConvertible, found: some CustomStringConvertible) -> SluiceError {
        error(
            ConsistencyViolation(field: field, expected: expected.description, found: found.description, place: "block \(number) \(hash)"))
    }

    func error(_ violation: ConsistencyViolation) -> SluiceError {
        SluiceError(
            .inconsistentBlock, .endpoint, "checking \(violation)",
            mend:
                "the block is fetched again elsewhere; where every endpoint says so, the network may hash its headers in another way: set verify: links",
            detail: "expected \(violation.expected)\nfound \(violation.found)")
    }
}
