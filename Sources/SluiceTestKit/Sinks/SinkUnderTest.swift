public import SluiceCore

/// A kind of sink, as the suite for all of them needs to know it: how one is made, how what it has stored is read by somebody else, and what
/// it promises beyond the contract that all share.
public struct SinkUnderTest: Sendable, CustomStringConvertible {
    /// Its type in the catalogue, with a word more where one type is tested in several ways.
    public let description: String
    /// Its type in the catalogue.
    public let type: String
    public let promises: SinkPromises
    let place: @Sendable (SinkRequest) async throws -> SinkPlace

    /// - Parameter place: makes a place of that name, which nobody has used: a folder, a schema, a database, a prefix.
    public init(
        _ description: String, type: String, _ promises: SinkPromises, place: @escaping @Sendable (SinkRequest) async throws -> SinkPlace
    ) {
        self.description = description
        self.type = type
        self.promises = promises
        self.place = place
    }
}

/// What a case needs of the place that is made for it.
public struct SinkRequest: Sendable {
    /// Lower case letters, digits and `_`; no two places have the same.
    public let name: String
    /// A sink that makes things durable after some ten rows, so that a test sees it happen.
    public let isSmall: Bool
    /// A sink that reaches its server by way of a proxy.
    public let isCut: Bool
}

/// Where one case stores.
public struct SinkPlace: Sendable {
    /// A sink as a new process would make it.
    public let sink: @Sendable () async throws -> any Sink
    /// What another program finds of a table of one chain: a list of values a row, in the order of the schema's fields, each as
    /// `SinkRows.of` writes it. Rows that do not count, as the store's documentation has it, are left out; those that are there twice are twice there.
    public let rows: @Sendable (Schema, StreamID) async throws -> [[String?]]
    /// What the server is reached by, where one was asked for.
    public let proxy: CuttingProxy?

    /// Removes it.
    public let end: @Sendable () async -> Void

    public init(
        proxy: CuttingProxy? = nil, end: @escaping @Sendable () async -> Void = {}, sink: @escaping @Sendable () async throws -> any Sink,
        rows: @escaping @Sendable (Schema, StreamID) async throws -> [[String?]]
    ) {
        self.proxy = proxy
        self.end = end
        self.sink = sink
        self.rows = rows
    }
}

/// What a kind of sink does where the contract leaves it a choice.
public struct SinkPromises: Sendable {
    /// What becomes of two processes that write one stream.
    public enum Fence: Sendable {
        /// The one that came first is refused as soon as it writes.
        case older
        /// The one that comes second is refused when it opens.
        case newer
        /// They are not found out.
        case none
    }

    /// When a column that has another type than before is found out.
    public enum Discovery: Sendable { case opening, writing, never }

    /// What may still be changed in what was stored.
    public enum Undo: Sendable {
        case all
        /// Nothing: a rollback only moves the position.
        case none
    }

    public var delivery: Delivery
    public var holdsBack: Bool
    public var undo = Undo.all
    public var amends = true
    /// Whether `flush` makes durable all that was taken; else whole units (files) alone, and `finish` the rest.
    public var flushesAll = true
    /// Whether blocks may come below those that are there.
    public var takesBelow = true
    public var fence = Fence.older
    public var changedTypes = Discovery.opening
    /// Whether a column that is new and may not be null is refused where there are rows already; else it begins with the rows that come.
    public var refusesRequired = true
    /// Whether a set of tables other than before is found out.
    public var knowsTables = true
    /// Whether two pipelines of one chain may share the store, each with tables of its own; else each needs a place of its own.
    public var sharesChain = true
    /// Whether it knows of every block by its hash, not only of the newest, which one it holds.
    public var knowsHashes = true
    /// Whether two pipelines that write one table of one chain are found out.
    public var knowsOwners = true
    /// Whether rows stand in the order of blocks and places, for whoever reads them as they come.
    public var keepsOrder = false
    /// Whether rows that were sent and whose position was not kept may be seen until their blocks are sent again.
    public var leavesStrays = false
    /// Whether what one connection after another loses can be tried out.
    public var hasServer = false
    /// How many rows, at least, make a small sink store by itself; nil: it stores whole units, whatever they hold.
    public var smallRows: Int? = 20
    /// Whether such a step is under way while the next one is made: it is told of with that, or by `flush`.
    public var tellsLate = false
    public var values = EveryValue.Limits()
    /// A text that the store refuses in a row, and names the row; nil: it takes every text.
    public var poison: String?

    public init(_ delivery: Delivery, holdsBack: Bool = false, _ adjust: (inout SinkPromises) -> Void = { _ in }) {
        self.delivery = delivery
        self.holdsBack = holdsBack
        adjust(&self)
    }
}
