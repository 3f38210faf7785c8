public import SluiceConfig
public import SluiceCore
public import SluiceFlow
public import SluiceStore

/// A kind of sink as it can be named in a configuration: `type:`, its options, and how one is made.
public struct SinkConnector: Sendable {
    public let type: String
    public let spec: ObjectSpec
    public let delivery: Delivery
    /// Whether it is given only what is final, because it cannot undo.
    public let holdsBack: Bool
    /// The same for one with these options: a kind that has an option `hold_back` leaves it to its user.
    public func holdsBack(_ options: ConfigObject) -> Bool { holdsBack && options.bool(ifSet: "hold_back") != false }
    /// What a plan says of one that is configured so, a line each.
    public let facts: @Sendable (_ options: ConfigObject) -> [String]
    /// Makes what brings the tables of a store to their shape by numbered steps; nil: the sink's tables are all made when it is opened.
    public let migrator: (@Sendable (_ options: ConfigObject) -> any Migrator)?
    /// Makes one out of checked options; connects to nothing yet. `name` is the sink's in the configuration.
    public let make: @Sendable (_ name: String, _ options: ConfigObject, _ store: StateStore) -> any Sink

    public init(
        _ type: String, _ spec: ObjectSpec, delivery: Delivery, holdsBack: Bool = false,
        facts: @escaping @Sendable (_ options: ConfigObject) -> [String] = { _ in [] },
        migrator: (@Sendable (_ options: ConfigObject) -> any Migrator)? = nil,
        make: @escaping @Sendable (_ name: String, _ options: ConfigObject, _ store: StateStore) -> any Sink
    ) {
        self.type = type
        self.spec = ObjectSpec(spec.doc, spec.fields + [Self.startup])
        self.delivery = delivery
        self.holdsBack = holdsBack
        self.facts = facts
        self.migrator = migrator
        self.make = make
    }

    /// Every sink has it.
    private static let startup = FieldSpec(
        "startup", .choice(Startup.allCases.map(\.rawValue)),
        "What becomes of `sluice run` when the sink cannot be opened at first: it fails, or loads the other sinks of the pipeline and tries again. A "
            + "sink that fails later is always tried again.", default: Startup.fail.rawValue)

    /// Where a sink leads that is configured so, without what is secret; nil: its options do not say.
    public static func place(_ options: ConfigObject) -> String? {
        options.string(ifSet: "path") ?? options.url(ifSet: "url").map { "\($0)" }
    }

    /// What is configured for a sink.
    public static func startup(of options: ConfigObject) -> Startup { Startup(rawValue: options.string("startup")) ?? .fail }
}
