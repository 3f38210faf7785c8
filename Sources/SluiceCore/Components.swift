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
}

/// Turns batches into batches. Called from one task at a time.
public protocol Pipe: Sendable {
    /// Tables that come out.
    var schemas: [Schema] { get }
    /// The tables made from one batch; in the order of `schemas`.
    mutating func transform(_ batch: Batch) throws -> [Table]
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

/// One pipeline's way into a sink. Called from one task at a time.
public protocol SinkStream: Sendable {
    /// What is durably stored: rows and position together.
    func position() async throws -> Position?
    /// Takes a batch. It may wait for more before it is made durable; returns the durable position when that moved.
    func write(_ batch: Batch) async throws -> Position?
    /// Makes everything taken durable, as far as the store's unit allows, and returns the durable position.
    func flush() async throws -> Position?
    /// Removes every row behind `position`, in one step with the position itself.
    func rollback(to position: Position) async throws
    /// Ends the stream after the last batch of a bounded run: what is held is made durable, even in a smaller unit.
    func finish() async throws -> Position?
}

/// Where a sink without transactions keeps what it has made durable. Blocking; `save` returns when the position will survive a
/// power cut.
public protocol PositionStore: Sendable {
    func load(_ stream: StreamID) throws -> Position?
    func save(_ stream: StreamID, _ position: Position) throws
}
