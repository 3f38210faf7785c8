import SluiceChain
import SluiceCore
import SluiceFormats

extension BlockHeader {
    /// The header out of what was read of a block; nil when a field is missing that every Ethereum header has.
    init?(_ block: JSONTable) {
        func int(_ name: String) -> UInt64? {
            let column = block.column(name)
            return column.isNull(0) ? nil : UInt64(clamping: column.load(0, as: Int64.self))
        }
        func hash(_ name: String) -> Hash32? {
            let column = block.column(name)
            return column.isNull(0) ? nil : column.load(0, as: Hash32.self)
        }
        func wide(_ name: String) -> UInt256? {
            let column = block.column(name)
            return column.isNull(0) ? nil : UInt256(low: column.load(0, as: UInt128.self))
        }
        let nonce = block.column("nonce")
        let bloom = block.column("logs_bloom")
        guard
            let miner = Address(block.column("miner").bytes(0)), let parentHash = hash("parent_hash"), let uncles = hash("sha3_uncles"),
            let state = hash("state_root"), let transactions = hash("transactions_root"), let receipts = hash("receipts_root"),
            let mixHash = hash("mix_hash"), let difficulty = wide("difficulty"), let number = int("number"), let limit = int("gas_limit"),
            let used = int("gas_used"), !nonce.isNull(0), !bloom.isNull(0), let logsBloom = Bloom(bloom.bytes(0))
        else { return nil }
        self.init(
            parentHash: parentHash, sha3Uncles: uncles, miner: miner, stateRoot: state, transactionsRoot: transactions,
            receiptsRoot: receipts, logsBloom: logsBloom, difficulty: difficulty, number: number, gasLimit: limit, gasUsed: used,
            timestamp: UInt64(clamping: block.column("timestamp").load(0, as: Int64.self) / 1_000_000),
            extraData: Array(block.column("extra_data").bytes(0)), mixHash: mixHash, nonce: nonce.load(0, as: UInt64.self).byteSwapped,
            baseFeePerGas: wide("base_fee_per_gas"), withdrawalsRoot: hash("withdrawals_root"), blobGasUsed: int("blob_gas_used"),
            excessBlobGas: int("excess_blob_gas"), parentBeaconBlockRoot: hash("parent_beacon_block_root"),
            requestsHash: hash("requests_hash"))
    }
}
