public import SluiceCore

/// The header of a block, with the fields of every fork of mainnet up to Prague. Names are those of the RPC.
public struct BlockHeader: Hashable, Sendable {
    public var parentHash: Hash32
    public var sha3Uncles: Hash32
    public var miner: Address
    public var stateRoot: Hash32
    public var transactionsRoot: Hash32
    public var receiptsRoot: Hash32
    public var logsBloom: Bloom
    public var difficulty: UInt256
    public var number: UInt64
    public var gasLimit: UInt64
    public var gasUsed: UInt64
    /// Seconds since 1970.
    public var timestamp: UInt64
    public var extraData: [UInt8]
    public var mixHash: Hash32
    /// The 8 bytes, most significant first.
    public var nonce: UInt64
    /// Wei a unit of gas; since London.
    public var baseFeePerGas: UInt256?
    /// Since Shanghai.
    public var withdrawalsRoot: Hash32?
    /// Since Cancun.
    public var blobGasUsed: UInt64?
    /// Since Cancun.
    public var excessBlobGas: UInt64?
    /// Since Cancun.
    public var parentBeaconBlockRoot: Hash32?
    /// Since Prague.
    public var requestsHash: Hash32?

    /// The hash of an empty list of uncles: what `sha3Uncles` holds since the Merge.
    public static let noUncles: Hash32 = {
        var rlp = RLP()
        rlp.list { _ in }
        return Keccak256.hash(rlp.bytes)
    }()

    /// A header; what the block's fork does not have yet stays nil.
    public init(
        parentHash: Hash32, sha3Uncles: Hash32 = BlockHeader.noUncles, miner: Address, stateRoot: Hash32, transactionsRoot: Hash32,
        receiptsRoot: Hash32, logsBloom: Bloom, difficulty: UInt256 = .zero, number: UInt64, gasLimit: UInt64, gasUsed: UInt64,
        timestamp: UInt64, extraData: [UInt8] = [], mixHash: Hash32 = .zero, nonce: UInt64 = 0, baseFeePerGas: UInt256? = nil,
        withdrawalsRoot: Hash32? = nil, blobGasUsed: UInt64? = nil, excessBlobGas: UInt64? = nil,
        parentBeaconBlockRoot: Hash32? = nil, requestsHash: Hash32? = nil
    ) {
        self.parentHash = parentHash
        self.sha3Uncles = sha3Uncles
        self.miner = miner
        self.stateRoot = stateRoot
        self.transactionsRoot = transactionsRoot
        self.receiptsRoot = receiptsRoot
        self.logsBloom = logsBloom
        self.difficulty = difficulty
        self.number = number
        self.gasLimit = gasLimit
        self.gasUsed = gasUsed
        self.timestamp = timestamp
        self.extraData = extraData
        self.mixHash = mixHash
        self.nonce = nonce
        self.baseFeePerGas = baseFeePerGas
        self.withdrawalsRoot = withdrawalsRoot
        self.blobGasUsed = blobGasUsed
        self.excessBlobGas = excessBlobGas
        self.parentBeaconBlockRoot = parentBeaconBlockRoot
        self.requestsHash = requestsHash
    }

    /// The hash of the block: Keccak-256 over the RLP of the header. One allocation, a few microseconds.
    public func hash() -> Hash32 {
        // The largest header of mainnet takes some 660 bytes.
        var rlp = RLP(capacity: 768)
        append(to: &rlp)
        return rlp.bytes.withUnsafeBytes { Keccak256.hash($0) }
    }

    /// Appends the header as one RLP list. The fields of later forks end at the first that is absent.
    public func append(to rlp: inout RLP) {
        rlp.list { list in
            list.append(hash: parentHash)
            list.append(hash: sha3Uncles)
            miner.withBytes { list.append(bytes: $0) }
            list.append(hash: stateRoot)
            list.append(hash: transactionsRoot)
            list.append(hash: receiptsRoot)
            list.append(bytes: logsBloom.bytes)
            list.append(integer: difficulty)
            list.append(integer: number)
            list.append(integer: gasLimit)
            list.append(integer: gasUsed)
            list.append(integer: timestamp)
            list.append(bytes: extraData)
            list.append(hash: mixHash)
            withUnsafeBytes(of: nonce.bigEndian) { list.append(bytes: $0) }
            appendTail(to: &list)
        }
    }

    private func appendTail(to list: inout RLP) {
        guard let baseFeePerGas else { return }
        list.append(integer: baseFeePerGas)
        guard let withdrawalsRoot else { return }
        list.append(hash: withdrawalsRoot)
        guard let blobGasUsed else { return }
        list.append(integer: blobGasUsed)
        guard let excessBlobGas else { return }
        list.append(integer: excessBlobGas)
        guard let parentBeaconBlockRoot else { return }
        list.append(hash: parentBeaconBlockRoot)
        guard let requestsHash else { return }
        list.append(hash: requestsHash)
    }
}
