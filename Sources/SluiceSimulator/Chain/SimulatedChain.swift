import SluiceCore

/// One block among forks.
struct BlockKey: Hashable {
    let number: UInt64
    let fork: UInt32
}

/// The parts of a block that are served.
enum BlockPart {
    /// The block with whole transactions.
    case block
    /// The block with the hashes of its transactions.
    case hashes
    /// The array of receipts.
    case receipts
}

/// Where blocks come from. Used under the simulator's lock.
protocol SimulatedChain: AnyObject {
    var chainID: UInt64 { get }
    /// The first block there is.
    var first: UInt64 { get }
    /// The newest block.
    var head: UInt64 { get }
    var safe: UInt64 { get }
    var finalized: UInt64 { get }

    /// Steps of growth since the first start; 0 for a chain that does not grow.
    var steps: Int { get }

    /// Lets the blocks appear that are due by now.
    func catchUp(to now: MonotonicTime)
    /// The canonical block of a number.
    func key(of number: UInt64) -> BlockKey?
    /// A block by hash; an orphan is known for a while.
    func key(of hash: Hash32) -> BlockKey?
    func hash(of key: BlockKey) throws -> Hash32
    /// JSON text; nil when there are no receipts.
    func text(_ part: BlockPart, of key: BlockKey) throws -> SharedText?
    /// Where receipts and logs lie in the receipts' text.
    func index(of key: BlockKey) throws -> ReceiptIndex?
    /// What an account has after a block, in wei; nil where that is not known.
    func balance(of account: [UInt8], at key: BlockKey) throws -> UInt256?
    /// The block of a transaction, and the place in it.
    func place(ofTransaction hash: String) throws -> (key: BlockKey, index: Int)?
    /// A test's command; throws `config` when this kind of chain cannot.
    func advance(_ count: Int) throws
    func reorganise(depth: Int, length: Int) throws
}

extension SimulatedChain {
    var steps: Int { 0 }
    /// A recording holds blocks, not state.
    func balance(of account: [UInt8], at key: BlockKey) throws -> UInt256? { nil }
}

/// Where receipts and logs lie in the text of an array of receipts.
final class ReceiptIndex {
    struct Log {
        let range: Range<Int>
        let address: String
        let topics: [String]
    }

    let receipts: [Range<Int>]
    let logs: [Log]
    /// Lower-case hex, in the order of the receipts.
    let transactions: [String]

    init(scanning bytes: UnsafeBufferPointer<UInt8>) throws {
        let scanner = JSONScanner(bytes)
        receipts = try scanner.elements(try scanner.document())
        var logs: [Log] = []
        var transactions: [String] = []
        for receipt in receipts {
            for member in try scanner.members(receipt) {
                if scanner.equals(member.key, "transactionHash") { transactions.append(scanner.string(member.value)?.lowercased() ?? "") }
                guard scanner.equals(member.key, "logs") else { continue }
                for log in try scanner.elements(member.value) { logs.append(try Self.log(scanner, log)) }
            }
        }
        self.logs = logs
        self.transactions = transactions
    }

    private static func log(_ scanner: JSONScanner, _ range: Range<Int>) throws -> Log {
        var address = ""
        var topics: [String] = []
        for member in try scanner.members(range) {
            if scanner.equals(member.key, "address") { address = scanner.string(member.value)?.lowercased() ?? "" }
            if scanner.equals(member.key, "topics") {
                topics = try scanner.elements(member.value).map { scanner.string($0)?.lowercased() ?? "" }
            }
        }
        return Log(range: range, address: address, topics: topics)
    }
}
