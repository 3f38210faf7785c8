import SluiceChain
import SluiceCore

/// A log of a generated block.
struct GeneratedLog {
    var address: [UInt8]
    var topics: [[UInt8]]
    var data: [UInt8]
}

/// A transaction with its receipt.
struct GeneratedTransaction {
    struct SetCode {
        var address: [UInt8]
        var nonce: UInt64
        var r: [UInt8]
        var s: [UInt8]
    }

    var hash: [UInt8]
    var type: UInt8
    var from: [UInt8]
    /// Nil for a contract creation.
    var to: [UInt8]?
    var contract: [UInt8]?
    var nonce: UInt64
    var value: UInt256
    var gas: UInt64
    var gasUsed: UInt64
    var cumulativeGasUsed: UInt64 = 0
    var gasPrice: UInt64
    var maxFee: UInt64
    var maxPriorityFee: UInt64
    var input: [UInt8]
    var accessList: [(address: [UInt8], keys: [[UInt8]])]
    var blobHashes: [[UInt8]]
    var authorizations: [SetCode]
    var r: [UInt8]
    var s: [UInt8]
    var succeeded: Bool
    var logs: [GeneratedLog]
    var bloom = Bloom()

    static let blobGas: UInt64 = 131_072

    /// What the receipts trie holds of it.
    var receiptBytes: [UInt8] {
        var rlp = RLP(capacity: 512)
        if type > 0 { rlp.append(encoded: [type]) }
        rlp.list {
            $0.append(integer: UInt64(succeeded ? 1 : 0))
            $0.append(integer: cumulativeGasUsed)
            $0.append(bytes: bloom.bytes)
            $0.list { list in
                for log in logs {
                    list.list {
                        $0.append(bytes: log.address)
                        $0.list { topics in for topic in log.topics { topics.append(bytes: topic) } }
                        $0.append(bytes: log.data)
                    }
                }
            }
        }
        return rlp.bytes
    }
}

/// A withdrawal of a validator; the amount is in gwei.
struct GeneratedWithdrawal {
    var index: UInt64
    var validator: UInt64
    var address: [UInt8]
    var amount: UInt64

    var bytes: [UInt8] {
        var rlp = RLP(capacity: 64)
        rlp.list {
            $0.append(integer: index)
            $0.append(integer: validator)
            $0.append(bytes: address)
            $0.append(integer: amount)
        }
        return rlp.bytes
    }
}

/// A block, complete.
struct GeneratedBlock {
    var header: BlockHeader
    var hash: Hash32
    var transactions: [GeneratedTransaction]
    var withdrawals: [GeneratedWithdrawal]
}
