public import SluiceConfig
public import SluiceCore
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

    /// Makes one out of checked options; connects to nothing yet. `name` is the sink's in the configuration.
    public let make: @Sendable (_ name: String, _ options: ConfigObject, _ store: StateStore) -> any Sink

    public init(
        _ type: String, _ spec: ObjectSpec, delivery: Delivery, holdsBack: Bool = false,
        make: @escaping @Sendable (_ name: String, _ options: ConfigObject, _ store: StateStore) -> any Sink
    ) {
        self.type = type
        self.spec = spec
        self.delivery = delivery
        self.holdsBack = holdsBack
        self.make = make
    }
}
