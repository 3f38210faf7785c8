import SluiceChain
import SluiceCore

/// Writes generated blocks as a node's JSON.
struct BlockRenderer {
    let chainID: UInt64

    func block(_ block: GeneratedBlock, fullTransactions: Bool) -> [UInt8] {
        var out = JSONWriter()
        out.object { out in
            header(block, &out)
            out.array("transactions", block.transactions.enumerated()) { out, item in
                if fullTransactions { transaction(item.element, item.offset, block, &out) } else { out.hex(item.element.hash) }
            }
            out.array("uncles", [Int]()) { _, _ in }
            out.array("withdrawals", block.withdrawals) { out, withdrawal in
                out.object {
                    $0.field("index", quantity: withdrawal.index)
                    $0.field("validatorIndex", quantity: withdrawal.validator)
                    $0.field("address", hex: withdrawal.address)
                    $0.field("amount", quantity: withdrawal.amount)
                }
            }
        }
        return out.bytes
    }

    func receipts(_ block: GeneratedBlock) -> [UInt8] {
        var out = JSONWriter()
        var logIndex: UInt64 = 0
        out.list(block.transactions.enumerated()) { out, item in
            receipt(item.element, item.offset, block, &logIndex, &out)
        }
        return out.bytes
    }

    private func header(_ block: GeneratedBlock, _ out: inout JSONWriter) {
        let header = block.header
        out.field("number", quantity: header.number)
        out.field("hash", hex: block.hash.bytes)
        out.field("parentHash", hex: header.parentHash.bytes)
        out.field("nonce", hex: [UInt8](repeating: 0, count: 8))
        out.field("mixHash", hex: header.mixHash.bytes)
        out.field("sha3Uncles", hex: header.sha3Uncles.bytes)
        out.field("logsBloom", hex: header.logsBloom.bytes)
        out.field("transactionsRoot", hex: header.transactionsRoot.bytes)
        out.field("stateRoot", hex: header.stateRoot.bytes)
        out.field("receiptsRoot", hex: header.receiptsRoot.bytes)
        out.field("miner", hex: header.miner.bytes)
        out.field("difficulty", quantity: 0)
        out.field("totalDifficulty", quantity: 0)
        out.field("extraData", hex: header.extraData)
        out.field("size", quantity: UInt64(600 + block.transactions.count * 300))
        out.field("gasLimit", quantity: header.gasLimit)
        out.field("gasUsed", quantity: header.gasUsed)
        out.field("timestamp", quantity: header.timestamp)
        if let fee = header.baseFeePerGas { out.field("baseFeePerGas", amount: fee) }
        if let root = header.withdrawalsRoot { out.field("withdrawalsRoot", hex: root.bytes) }
        if let gas = header.blobGasUsed { out.field("blobGasUsed", quantity: gas) }
        if let gas = header.excessBlobGas { out.field("excessBlobGas", quantity: gas) }
        if let root = header.parentBeaconBlockRoot { out.field("parentBeaconBlockRoot", hex: root.bytes) }
        if let hash = header.requestsHash { out.field("requestsHash", hex: hash.bytes) }
    }

    private func transaction(_ item: GeneratedTransaction, _ index: Int, _ block: GeneratedBlock, _ out: inout JSONWriter) {
        out.object { out in
            out.field("blockHash", hex: block.hash.bytes)
            out.field("blockNumber", quantity: block.header.number)
            out.field("from", hex: item.from)
            out.field("gas", quantity: item.gas)
            out.field("gasPrice", quantity: item.gasPrice)
            if item.type >= 2 {
                out.field("maxFeePerGas", quantity: item.maxFee)
                out.field("maxPriorityFeePerGas", quantity: item.maxPriorityFee)
            }
            if item.type == 3 { out.field("maxFeePerBlobGas", quantity: item.maxPriorityFee + 1) }
            out.field("hash", hex: item.hash)
            out.field("input", hex: item.input)
            out.field("nonce", quantity: item.nonce)
            out.field("to", optional: item.to)
            out.field("transactionIndex", quantity: UInt64(index))
            out.field("value", amount: item.value)
            out.field("type", quantity: UInt64(item.type))
            if item.type > 0 { typedFields(item, &out) }
            out.field("v", quantity: item.type == 0 ? 37 + UInt64(item.r[0] & 1) : UInt64(item.r[0] & 1))
            out.field("r", amount: UInt256(bigEndian: item.r) ?? .zero)
            out.field("s", amount: UInt256(bigEndian: item.s) ?? .zero)
            if item.type > 0 { out.field("yParity", quantity: UInt64(item.r[0] & 1)) }
        }
    }

    private func typedFields(_ item: GeneratedTransaction, _ out: inout JSONWriter) {
        out.array("accessList", item.accessList) { out, entry in
            out.object {
                $0.field("address", hex: entry.address)
                $0.array("storageKeys", entry.keys) { $0.hex($1) }
            }
        }
        out.field("chainId", quantity: chainID)
        if item.type == 3 { out.array("blobVersionedHashes", item.blobHashes) { $0.hex($1) } }
        guard item.type == 4 else { return }
        out.array("authorizationList", item.authorizations) { out, entry in
            out.object {
                $0.field("chainId", quantity: chainID)
                $0.field("address", hex: entry.address)
                $0.field("nonce", quantity: entry.nonce)
                $0.field("yParity", quantity: UInt64(entry.r[0] & 1))
                $0.field("r", amount: UInt256(bigEndian: entry.r) ?? .zero)
                $0.field("s", amount: UInt256(bigEndian: entry.s) ?? .zero)
            }
        }
    }

    private func receipt(
        _ item: GeneratedTransaction, _ index: Int, _ block: GeneratedBlock, _ logIndex: inout UInt64, _ out: inout JSONWriter
    ) {
        out.object { out in
            out.field("blockHash", hex: block.hash.bytes)
            out.field("blockNumber", quantity: block.header.number)
            out.field("contractAddress", optional: item.contract)
            out.field("cumulativeGasUsed", quantity: item.cumulativeGasUsed)
            out.field("effectiveGasPrice", quantity: item.gasPrice)
            out.field("from", hex: item.from)
            out.field("gasUsed", quantity: item.gasUsed)
            if item.type == 3 {
                out.field("blobGasUsed", quantity: UInt64(item.blobHashes.count) * GeneratedTransaction.blobGas)
                out.field("blobGasPrice", quantity: 1)
            }
            out.array("logs", item.logs) { out, log in
                out.object {
                    $0.field("address", hex: log.address)
                    $0.array("topics", log.topics) { $0.hex($1) }
                    $0.field("data", hex: log.data)
                    $0.field("blockNumber", quantity: block.header.number)
                    $0.field("transactionHash", hex: item.hash)
                    $0.field("transactionIndex", quantity: UInt64(index))
                    $0.field("blockHash", hex: block.hash.bytes)
                    $0.field("blockTimestamp", quantity: block.header.timestamp)
                    $0.field("logIndex", quantity: logIndex)
                    $0.field("removed", word: "false")
                }
                logIndex += 1
            }
            out.field("logsBloom", hex: item.bloom.bytes)
            out.field("status", quantity: item.succeeded ? 1 : 0)
            out.field("to", optional: item.to)
            out.field("transactionHash", hex: item.hash)
            out.field("transactionIndex", quantity: UInt64(index))
            out.field("type", quantity: UInt64(item.type))
        }
    }
}
