/// The sets of the shared state, in memory. Pure: it says what a change comes down to, and takes that in when it is durable.
public struct StateSets: Sendable {
    /// The smallest step of a change: one row of a store.
    public enum Edit: Hashable, Sendable {
        case addMember(String, StateKey)
        case addItem(String, under: String, StateKey)
        /// A member without items, or one whose items were dropped before.
        case dropMember(String, StateKey)
        case dropItem(String, under: String, StateKey)
    }

    private struct Kept {
        var members: [ByteText: Set<ByteText>] = [:]
        var version: UInt64 = 0
        /// Sorted once a change, not once a read.
        var snapshot: StateSnapshot?
    }

    private var kept: [StateKey: Kept] = [:]
    /// Counts changes; the version of a key is what it showed at the key's last change.
    public private(set) var clock: UInt64
    /// What the clock showed when a key was last removed: the version of all that are not there.
    private var removed: UInt64

    /// - Parameter clock: where counting goes on, so that versions grow across restarts.
    public init(clock: UInt64 = 0) {
        self.clock = clock
        removed = clock
    }

    /// The version of a key.
    public func version(of key: StateKey) -> UInt64 { kept[key]?.version ?? removed }

    /// What is kept under a key.
    public mutating func snapshot(of key: StateKey) -> StateSnapshot {
        guard let entry = kept[key] else { return .empty(removed) }
        if let snapshot = entry.snapshot { return snapshot }
        let entries = entry.members.map { StateSnapshot.Entry(member: $0.key.text, sorting: $0.value) }
        let snapshot = StateSnapshot(version: entry.version, entries: entries)
        kept[key]?.snapshot = snapshot
        return snapshot
    }

    /// The keys of a pipeline, in the order of their bytes.
    public func keys(of pipeline: String) -> [StateKey] {
        let wanted = ByteText(pipeline)
        return kept.keys.filter { ByteText($0.pipeline) == wanted }.sorted()
    }

    // MARK: - What a change comes down to

    /// The steps that a change takes from here; none when everything is already as it is to be.
    public func edits(for change: StateChange) -> [Edit] {
        switch change {
        case .set(let members, let key):
            let wanted = Set(members.map(ByteText.init))
            let gone = (kept[key]?.members ?? [:]).flatMap { member, items in
                Self.dropping(items, under: member, key) + (wanted.contains(member) ? [] : [.dropMember(member.text, key)])
            }
            return gone + adding(wanted, to: key)
        case .insert(let members, let key): return adding(Set(members.map(ByteText.init)), to: key)
        case .insertUnder(let member, let items, let key):
            return adding([ByteText(member)], to: key) + adding(Set(items.map(ByteText.init)), under: ByteText(member), to: key)
        case .remove(let members, let key):
            return Set(members.map(ByteText.init)).flatMap { member in
                (kept[key]?.members[member]).map { Self.dropping($0, under: member, key) + [.dropMember(member.text, key)] } ?? []
            }
        case .removeUnder(let member, let items, let key):
            let there = kept[key]?.members[ByteText(member)] ?? []
            return Self.dropping(there.intersection(items.map(ByteText.init)), under: ByteText(member), key)
        case .exchange(let removing, let adding, let key): return exchange(removing, adding, key)
        case .delete(let key): return edits(for: .set([], key: key))
        case .deletePipeline(let pipeline): return keys(of: pipeline).flatMap { edits(for: .delete($0)) }
        case .merge(let pipeline, let other):
            guard ByteText(pipeline) != ByteText(other) else { return [] }
            return keys(of: pipeline).flatMap { key in
                let target = StateKey(pipeline: other, prefix: key.prefix, id: key.id)
                let members = kept[key]?.members ?? [:]
                return adding(Set(members.keys), to: target) + members.flatMap { adding($0.value, under: $0.key, to: target) }
                    + edits(for: .delete(key))
            }
        }
    }

    /// From what is there to what is to be there, member by member.
    private func exchange(_ removing: [StateSnapshot.Entry], _ adding: [StateSnapshot.Entry], _ key: StateKey) -> [Edit] {
        func joined(_ entries: [StateSnapshot.Entry]) -> [ByteText: Set<ByteText>] {
            entries.reduce(into: [:]) { $0[ByteText($1.member), default: []].formUnion($1.items.map(ByteText.init)) }
        }
        let (less, more) = (joined(removing), joined(adding))
        return Set(less.keys).union(more.keys).flatMap { member -> [Edit] in
            let before = kept[key]?.members[member]
            let after = (before ?? []).subtracting(less[member] ?? []).union(more[member] ?? [])
            let stays = more[member] != nil || (before != nil && !after.isEmpty)
            let gone = Self.dropping((before ?? []).subtracting(after), under: member, key)
            if !stays { return gone + (before == nil ? [] : [.dropMember(member.text, key)]) }
            return gone + (before == nil ? [.addMember(member.text, key)] : []) + self.adding(after, under: member, to: key)
        }
    }

    private func adding(_ members: Set<ByteText>, to key: StateKey) -> [Edit] {
        members.filter { kept[key]?.members[$0] == nil }.map { .addMember($0.text, key) }
    }

    private func adding(_ items: Set<ByteText>, under member: ByteText, to key: StateKey) -> [Edit] {
        items.subtracting(kept[key]?.members[member] ?? []).map { .addItem($0.text, under: member.text, key) }
    }

    private static func dropping(_ items: Set<ByteText>, under member: ByteText, _ key: StateKey) -> [Edit] {
        items.map { .dropItem($0.text, under: member.text, key) }
    }

    // MARK: - Taking it in

    /// Takes the steps of one change; the clock goes on by one when there are any.
    public mutating func commit(_ edits: [Edit]) {
        guard !edits.isEmpty else { return }
        clock += 1
        var touched: Set<StateKey> = []
        for edit in edits {
            switch edit {
            case .addMember(let member, let key):
                if kept[key]?.members[ByteText(member)] == nil { kept[key, default: Kept()].members[ByteText(member)] = [] }
                touched.insert(key)
            case .addItem(let item, let member, let key):
                kept[key, default: Kept()].members[ByteText(member), default: []].insert(ByteText(item))
                touched.insert(key)
            case .dropMember(let member, let key):
                kept[key]?.members[ByteText(member)] = nil
                touched.insert(key)
            case .dropItem(let item, let member, let key):
                kept[key]?.members[ByteText(member)]?.remove(ByteText(item))
                touched.insert(key)
            }
        }
        for key in touched {
            if kept[key]?.members.isEmpty ?? true {
                kept[key] = nil
                removed = clock
            } else {
                kept[key]?.version = clock
                kept[key]?.snapshot = nil
            }
        }
    }
}
