/// Identity of what a sink stores for one pipeline on one network.
public struct StreamID: Hashable, Sendable, CustomStringConvertible {
    public let pipeline: String
    public let chainID: UInt64

    public init(pipeline: String, chainID: UInt64) {
        self.pipeline = pipeline
        self.chainID = chainID
    }

    public var description: String { "\(pipeline)@\(chainID)" }
}

/// How often a row can be in a store after crashes and retries.
public enum Delivery: String, Sendable {
    case exactlyOnce = "exactly_once"
    case effectivelyOnce = "effectively_once"
    case atLeastOnce = "at_least_once"
}

/// Where a component puts what it made. Suspends while the edge is full.
public protocol Egress: Sendable {
    func send(_ transit: Transit) async throws
}

/// Reads a network.
public protocol Oracle: Sendable {
    /// Follows the network from `position` (exclusive), or from `start` when there is none (nil: the head), until cancelled
    /// or until block `until` is sent. First catches up, then follows the tip, across one cursor.
    func live(from position: Position?, start: UInt64?, until: UInt64?, into egress: any Egress) async throws
    /// Reads exactly `range`, in order; `position` is what came before it, when something did.
    func backfill(_ range: ClosedRange<UInt64>, after position: Position?, into egress: any Egress) async throws
    /// The highest block now, and the highest that will never be undone.
    func head() async throws -> ChainHead
    /// The highest ancestor of `position` (or itself) that the network still has: where a store that was stopped may go on.
    /// Throws when it lies deeper than finality.
    /// - Parameter finalized: what was final when the position was stored; nil when that is not known.
    func settle(_ position: Position, finalized: UInt64?) async throws -> Position
}

/// What a network says of itself.
public struct ChainHead: Hashable, Sendable {
    public let latest: UInt64
    public let finalized: UInt64

    public init(latest: UInt64, finalized: UInt64) {
        self.latest = latest
        self.finalized = finalized
    }
}

/// What an oracle tells while it works, for whoever watches.
public enum OracleEvent: Sendable {
    case head(ChainHead)
    /// Blocks behind the common ancestor were orphaned: how many.
    case reorganisation(depth: Int)
    /// Bytes of replies that were read.
    case received(bytes: Int)
}

/// A block and its parent, as they were emitted.
public struct BlockLink: Hashable, Sendable {
    public let ref: BlockRef
    public let parentHash: Hash32

    public init(ref: BlockRef, parentHash: Hash32) {
        self.ref = ref
        self.parentHash = parentHash
    }
}

/// Remembers the blocks that may still be orphaned, across restarts. Written before the rows of those blocks are sent on, so that
/// whatever position a store ends up with, its ancestors are known.
public protocol RecentBlocks: Sendable {
    /// The ancestors of a block that are known, the block itself last; empty when it is not known.
    func ancestors(of position: Position) async throws -> [BlockRef]
    func remember(_ links: [BlockLink]) async throws
    /// The highest block that was ever final: finality does not go back because the process was away. Nil when nothing was.
    func finalized() async throws -> UInt64?
    /// Notes that everything up to a block is final, and forgets what lies below it.
    func finalize(through number: UInt64) async throws
}

/// What a component says beside the tables that it makes: rows that it left out, and rows that it could not read. With them the
/// accounts of an edge balance: in = out + filtered + dead letters + in flight.
public struct PipeReport: Sendable {
    /// Rows left out on purpose, by reason.
    public var filtered: [String: Int] = [:]
    public var deadLetters: [DeadLetter] = []

    public init() {}

    /// Notes rows that were left out on purpose.
    public mutating func filter(_ reason: String, rows: Int = 1) {
        if rows > 0 { filtered[reason, default: 0] += rows }
    }
}

/// A row that could not be processed, kept with its reason. The same row fails in the same way: `id` is the same each time.
public struct DeadLetter: Sendable, Hashable {
    /// The register that could not process it.
    public let register: String
    /// What names the row in its source, such as `log 17`.
    public let row: String
    public let block: BlockRef
    /// A stable code, such as `abi_malformed`.
    public let reason: String
    /// What went wrong, in words.
    public let message: String
    /// The row as JSON.
    public let payload: String

    public init(register: String, row: String, block: BlockRef, reason: String, message: String, payload: String) {
        self.register = register
        self.row = row
        self.block = block
        self.reason = reason
        self.message = message
        self.payload = payload
    }
}

/// Turns batches into batches. Called from one task at a time.
public protocol Pipe: Sendable {
    /// Tables that come out.
    var schemas: [Schema] { get }
    /// The tables made from one batch; in the order of `schemas`.
    mutating func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table]
    /// Undoes what the component remembers of blocks behind a position. Most remember nothing.
    mutating func rollback(to position: Position)
    /// What the component learnt since it was last asked, to be kept before the batch goes on. Asked after each batch where the register
    /// says that it keeps findings. A batch that comes again after a rollback must be learnt from again.
    mutating func takeFindings() -> [Finding]
}

extension Pipe {
    public mutating func rollback(to position: Position) {}
    public mutating func takeFindings() -> [Finding] { [] }
}

/// Loads tables into a store.
public protocol Sink: Sendable {
    var delivery: Delivery { get }
    /// True when the store cannot undo: the runtime then hands over only what is final.
    var holdsBackToFinality: Bool { get }
    /// Creates or migrates the tables and opens the stream. Throws `pause` or `config` errors when the store refuses.
    func open(_ stream: StreamID, tables: [Schema]) async throws -> any SinkStream
    /// Releases the store. All streams are closed before.
    func close() async
}

/// Blocks that a store holds for one stream, without a hole.
public struct Segment: Hashable, Sendable {
    public let first: UInt64
    public let last: Position

    public init(first: UInt64, last: Position) {
        self.first = first
        self.last = last
    }
}

/// One pipeline's way into a sink. Called from one task at a time.
///
/// What is stored is a list of segments. A batch extends the segment that ends where it begins, else it begins a new one.
///
/// A store may refuse rows for what they hold: then any of the calls that store something throws `RowsRefused`, and is made again.
public protocol SinkStream: Sendable {
    /// The thread that does the stream's work. Whoever hands over batch after batch does well to run there too: between two batches it would
    /// wait for a thread of the pool, behind all that decodes. Nil: it has none.
    var executor: (any TaskExecutor)? { get }
    /// Bytes that it takes at a time. When as many wait for it, it does not wait for them. Nil: as they come.
    var appetite: Int? { get }
    /// What need not be sent again, in ascending order: what is durably stored, rows and segment together, and what was taken since and
    /// waits for its unit (a file, a transaction) to be whole. After a failure, and in a new process, the former alone.
    func coverage() async throws -> [Segment]
    /// Takes a batch. It may wait for more before it is made durable; returns the durable position when that moved.
    func write(_ batch: Batch) async throws -> Position?
    /// Makes everything taken durable, as far as the store's unit allows, and returns the durable position.
    func flush() async throws -> Position?
    /// Blocks up to a number will not be undone any more. Most stores have no use for it.
    func finalized(_ number: UInt64) async throws
    /// Removes every row behind `position` in the segment that holds it, in one step with the segment itself.
    func rollback(to position: Position) async throws
    /// Puts rows in the place of what the store holds at some places of blocks that it holds already, or has taken: see `Amendment`; no two
    /// of them are of one block, table and column. No position moves. It is durable when this returns; for a block that was taken and is
    /// not durable, with that block.
    ///
    /// After a failure, and a crash at any moment, each block holds what it held or what it should: doing it again makes it whole.
    /// - Throws: `block_not_held`, `block_differs` (class `data`), `RowsRefused`: then nothing was changed. `amend_unsupported` (class `config`).
    func amend(_ amendments: [Amendment]) async throws
    /// Ends the stream after the last batch of a bounded run: what is held is made durable, even in a smaller unit.
    func finish() async throws -> Position?
}

extension SinkStream {
    public var executor: (any TaskExecutor)? { nil }
    public var appetite: Int? { nil }
    public func finalized(_ number: UInt64) async throws {}
    /// For stores that cannot change what they hold.
    public func amend(_ amendments: [Amendment]) async throws {
        throw SluiceError(
            .amendUnsupported, .config, "this kind of sink cannot add rows to blocks that it holds already",
            mend: "fill an empty one by a backfill")
    }
}

/// Where a sink without transactions keeps what it has made durable. Blocking; `save` returns when the segments will survive a
/// power cut.
public protocol SegmentStore: Sendable {
    func load(_ stream: StreamID) throws -> [Segment]
    /// Replaces all segments of the stream.
    func save(_ segments: [Segment], of stream: StreamID) throws
}
