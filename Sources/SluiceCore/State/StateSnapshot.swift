/// What is kept under one key at one moment.
public struct StateSnapshot: Sendable {
    /// A member and the set of its own.
    public struct Entry: Hashable, Sendable {
        public let member: String
        /// In ascending order; empty when it has none.
        public let items: [String]

        /// Takes items in any order.
        public init(member: String, items: [String] = []) {
            self.init(member: member, sorting: items.map(ByteText.init))
        }

        init(member: String, sorting items: some Collection<ByteText>) {
            self.member = member
            self.items = items.count < 2 ? items.map(\.text) : items.sorted().map(\.text)
        }

        public func hash(into hasher: inout Hasher) {
            hasher.combine(ByteText(member))
            for item in items { hasher.combine(ByteText(item)) }
        }

        /// By their bytes.
        public static func == (a: Self, b: Self) -> Bool {
            ByteText(a.member) == ByteText(b.member) && a.items.elementsEqual(b.items) { ByteText($0) == ByteText($1) }
        }
    }

    /// A number that grows with every change of the key.
    public let version: UInt64
    /// In ascending order of their members' bytes, each member once.
    public let entries: [Entry]

    /// Nothing, as it was at some version.
    public static func empty(_ version: UInt64 = 0) -> StateSnapshot { StateSnapshot(version: version, entries: []) }

    /// Takes entries in any order.
    public init(version: UInt64, entries: [Entry]) {
        self.version = version
        self.entries = entries.sorted { ByteText($0.member) < ByteText($1.member) }
    }

    /// The members, in ascending order.
    public var members: [String] { entries.map(\.member) }

    /// What a member has; empty when it is not there or has nothing.
    public func items(of member: String) -> [String] { entry(of: member)?.items ?? [] }

    /// Whether a member is there.
    public func contains(_ member: String) -> Bool { entry(of: member) != nil }

    private func entry(of member: String) -> Entry? {
        let wanted = ByteText(member)
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = low + (high - low) / 2
            if ByteText(entries[middle].member) < wanted { low = middle + 1 } else { high = middle }
        }
        return low < entries.count && ByteText(entries[low].member) == wanted ? entries[low] : nil
    }
}
