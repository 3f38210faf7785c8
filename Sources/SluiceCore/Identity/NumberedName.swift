/// A number of one byte that has a name, as identifiers carry it. Numbers are handed out once and never change their meaning:
/// identifiers outlive the program that made them. A number without a name (0, or one of a later version) is kept as it is and
/// prints as `unknown`.
public protocol NumberedName: RawRepresentable, Hashable, Sendable, CustomStringConvertible where RawValue == UInt8 {
    init(rawValue: UInt8)
    /// The names of the numbers from 1 on, in order.
    static var names: [String] { get }
}

extension NumberedName {
    /// 0: nothing is known.
    public static var unknown: Self { Self(rawValue: 0) }

    /// All that have a name, in the order of their numbers.
    public static var named: [Self] { names.indices.map { Self(rawValue: UInt8($0 + 1)) } }

    /// The name; nil when the number has none.
    public var name: String? { Self.names.indices.contains(Int(rawValue) - 1) ? Self.names[Int(rawValue) - 1] : nil }

    /// The number that has a name; nil when none has it. `unknown` names no number, for it may stand for any.
    public init?(name: some StringProtocol) {
        guard let index = Self.names.firstIndex(where: { $0 == name }) else { return nil }
        self.init(rawValue: UInt8(index + 1))
    }

    /// The name, or `unknown`.
    public var description: String { name ?? "unknown" }
}
