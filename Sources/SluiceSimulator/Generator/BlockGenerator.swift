import SluiceChain
import SluiceCore

/// Makes any block of a generated chain from the seed, its number and its fork; only the parent's hash is given.
struct BlockGenerator {
    let options: GeneratorOptions
    private let logs: LogGenerator
    /// The hash of no requests, as Prague's headers carry it.
    private static let noRequests = Hash32(hex: "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")

    init(_ options: GeneratorOptions) {
        self.options = options
        // The pools are the same for the whole chain, so that addresses come back.
        var random = SeededRandom(seed: options.seed ^ 0xADD2_E55E_5000_0001)
        logs = LogGenerator(accounts: (0..<250).map { _ in random.bytes(20) }, tokens: (0..<25).map { _ in random.bytes(20) })
    }

    /// The accounts that send, receive and are paid; they have something before the first block.
    var accounts: [[UInt8]] { logs.accounts }

    func timestamp(_ number: UInt64) -> UInt64 { options.firstTimestamp + (number - options.first) * options.blockSeconds }

    func block(_ key: BlockKey, parent: Hash32) -> GeneratedBlock {
        let place = key.number &* 0xD6E8_FEB8_6659_FD93 ^ UInt64(key.fork) << 40
        var random = SeededRandom(seed: options.seed &* 0x9E37_79B9_7F4A_7C15 ^ place)
        let baseFee = 1_000_000 + random.next() % 30_000_000_000
        var transactions: [GeneratedTransaction] = []
        var bloom = Bloom()
        var gas: UInt64 = 0
        for index in 0..<Int.random(in: options.transactions, using: &random) {
            var transaction = transaction(key, index, baseFee, &random)
            gas += transaction.gasUsed
            transaction.cumulativeGasUsed = gas
            for log in transaction.logs {
                transaction.bloom.insert(hashing: log.address)
                for topic in log.topics { transaction.bloom.insert(hashing: topic) }
            }
            bloom.formUnion(transaction.bloom)
            transactions.append(transaction)
        }
        let withdrawals = (0..<random.below(17)).map { index in
            GeneratedWithdrawal(
                index: key.number &* 16 &+ UInt64(index), validator: random.next() % 1_000_000, address: account(&random),
                amount: random.below(30) == 0 ? UInt64.max : random.next() % 40_000_000)
        }
        let blobs = transactions.reduce(0) { $0 + $1.blobHashes.count }
        let header = BlockHeader(
            parentHash: parent, sha3Uncles: BlockHeader.noUncles, miner: address(account(&random)), stateRoot: hash(&random),
            transactionsRoot: transactions.isEmpty ? TrieRoot.empty : hash(&random),
            receiptsRoot: TrieRoot.ordered(transactions.map(\.receiptBytes)), logsBloom: bloom, difficulty: .zero, number: key.number,
            gasLimit: max(36_000_000, 2 * gas), gasUsed: gas, timestamp: timestamp(key.number),
            extraData: Array("sluice".utf8) + random.bytes(random.below(20)), mixHash: hash(&random), nonce: 0,
            baseFeePerGas: UInt256(baseFee), withdrawalsRoot: TrieRoot.ordered(withdrawals.map(\.bytes)),
            blobGasUsed: UInt64(blobs) * GeneratedTransaction.blobGas, excessBlobGas: random.next() % 100_000_000,
            parentBeaconBlockRoot: hash(&random), requestsHash: Self.noRequests)
        return GeneratedBlock(header: header, hash: header.hash(), transactions: transactions, withdrawals: withdrawals)
    }

    // MARK: transactions

    private func transaction(_ key: BlockKey, _ index: Int, _ baseFee: UInt64, _ random: inout SeededRandom) -> GeneratedTransaction {
        let type: UInt8 =
            switch random.below(100) {
            case 0..<20: 0
            case 20..<25: 1
            case 25..<90: 2
            case 90..<96: 3
            default: 4
            }
        let isCreation = type < 3 && random.below(25) == 0
        let isCall = isCreation || random.below(10) < 7
        let succeeded = random.below(20) != 0
        let tip = random.next() % 3_000_000_000
        let gasUsed: UInt64 = isCall ? 25_000 + random.next() % 175_000 : 21_000
        let to = isCall ? logs.tokens[random.below(logs.tokens.count)] : account(&random)
        return GeneratedTransaction(
            hash: TransactionPlace(key: key, index: index).hash(seed: options.seed), type: type, from: account(&random),
            to: isCreation ? nil : to, contract: isCreation ? random.bytes(20) : nil, nonce: random.next() % 100_000,
            value: random.below(3) == 0 ? random.amount() : .zero, gas: gasUsed + random.next() % 50_000, gasUsed: gasUsed,
            gasPrice: baseFee + tip, maxFee: baseFee * 2 + tip, maxPriorityFee: tip,
            input: isCall ? random.bytes(4 + 32 * random.below(8)) : [],
            accessList: type > 0 && random.below(6) == 0 ? [(account(&random), (0..<random.below(3)).map { _ in random.bytes(32) })] : [],
            blobHashes: type == 3 ? (0...random.below(6)).map { _ in [1] + random.bytes(31) } : [],
            authorizations: type == 4 ? (0...random.below(3)).map { _ in authorization(&random) } : [],
            r: random.bytes(32), s: random.bytes(32), succeeded: succeeded,
            logs: isCall && succeeded ? (0..<Int.random(in: options.logs, using: &random)).map { _ in logs.log(&random) } : [])
    }

    private func authorization(_ random: inout SeededRandom) -> GeneratedTransaction.SetCode {
        .init(address: account(&random), nonce: random.next() % 1000, r: random.bytes(32), s: random.bytes(32))
    }

    private func account(_ random: inout SeededRandom) -> [UInt8] { logs.accounts[random.below(logs.accounts.count)] }

    private func address(_ bytes: [UInt8]) -> Address { Address(bytes) ?? .zero }

    private func hash(_ random: inout SeededRandom) -> Hash32 { Hash32(random.bytes(32)) ?? .zero }
}

/// Where a transaction stands, hidden in its hash: so that any of them is found without a table of all.
struct TransactionPlace: Equatable {
    var key: BlockKey
    var index: Int

    init(key: BlockKey, index: Int) {
        self.key = key
        self.index = index
    }

    /// Twenty bytes that look random, and the place under a mask made from them.
    func hash(seed: UInt64) -> [UInt8] {
        let plain = Self.plain(key.number, key.fork, index)
        let front = Array(Keccak256.hash(plain + Self.bytes(seed)).bytes.prefix(20))
        return front + zip(plain, Self.mask(front, seed)).map { $0 ^ $1 }
    }

    /// The place in a hash that was made from this seed; nil for any other hash.
    init?(hash: [UInt8], seed: UInt64) {
        guard hash.count == 32 else { return nil }
        let front = Array(hash.prefix(20))
        let plain = zip(hash.dropFirst(20), Self.mask(front, seed)).map { $0 ^ $1 }
        func number(_ range: Range<Int>) -> UInt64 { plain[range].reduce(0) { $0 << 8 | UInt64($1) } }
        self.init(key: BlockKey(number: number(0..<6), fork: UInt32(number(6..<10))), index: Int(number(10..<12)))
        guard self.hash(seed: seed) == hash else { return nil }
    }

    private static func plain(_ number: UInt64, _ fork: UInt32, _ index: Int) -> [UInt8] {
        [UInt8](bytes(number)[2...] + bytes(UInt64(fork))[4...] + bytes(UInt64(index))[6...])
    }

    private static func mask(_ front: [UInt8], _ seed: UInt64) -> [UInt8] { Keccak256.hash(front + bytes(seed)).bytes }

    private static func bytes(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }
}
