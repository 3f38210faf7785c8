import SluiceCore

/// The components of a graph by their identities: what each does, and whom it works for. Pure.
///
/// When a component's activity changes, those are told that it works for; so the manager hears of it. One that fails has ended for all of
/// them; one that is shared goes on as long as anybody uses it.
struct ComponentRoll {
    typealias News = [(branch: Branch, change: ActivityChange)]

    private struct Entry {
        let id: CUUID
        var activity = ActivityState.inactive
        var users: [Branch] = []
    }

    private var entries: [GraphState.Key: Entry] = [:]

    /// A branch begins to use a component, which is made where there is none.
    mutating func join(_ branch: Branch, _ key: GraphState.Key, make: () -> CUUID) -> News {
        var entry = entries[key] ?? Entry(id: make())
        entry.users.append(branch)
        entries[key] = entry
        return [(branch, ActivityChange(component: entry.id, state: entry.activity))]
    }

    /// How many pipelines use a component; a pipeline may do so by several branches.
    func pipelines(using key: GraphState.Key) -> Int { Set(entries[key]?.users.map(\.name) ?? []).count }

    /// Reading begins: all are at work from now on.
    mutating func begin() -> News {
        let idle = entries.filter { $0.value.activity == .inactive }.keys
        for key in idle { entries[key]?.activity = .live }
        return news(of: idle.compactMap { entries[$0] })
    }

    /// A branch uses nothing any more. What nobody else uses ends with it.
    /// - Parameter failure: the component that could not go on, when that is why.
    mutating func leave(_ branch: Branch, _ failure: ComponentFailure? = nil) -> News {
        var news: News = []
        for (key, entry) in entries where entry.users.contains(where: { $0 === branch }) {
            let others = entry.users.filter { $0 !== branch }
            entries[key]?.users = others
            if others.isEmpty { entries[key] = nil }
            let cause = failure?.component == key ? failure?.error : nil
            guard others.isEmpty || cause != nil else { continue }
            news.append((branch, ActivityChange(component: entry.id, state: .terminated, cause: cause)))
        }
        return Self.sorted(news)
    }

    /// Reading is over for good: all end.
    mutating func end() -> News {
        var ended = Array(entries.values)
        for index in ended.indices { ended[index].activity = .terminated }
        entries = [:]
        return news(of: ended)
    }

    private func news(of entries: [Entry]) -> News {
        Self.sorted(
            entries.flatMap { entry in entry.users.map { ($0, ActivityChange(component: entry.id, state: entry.activity)) } })
    }

    /// The same each time, whatever a dictionary's order is.
    private static func sorted(_ news: News) -> News { news.sorted { $0.change.component.uuid < $1.change.component.uuid } }
}

/// A component could not go on.
struct ComponentFailure: Error {
    let component: GraphState.Key
    let cause: any Error

    /// As the manager is told.
    var error: SluiceError { cause as? SluiceError ?? SluiceError(.componentTerminated, .fatal, "\(cause)") }
}

extension SluiceError.Code {
    /// A component ended that nobody had asked to end, with an error that is none of ours.
    static let componentTerminated = SluiceError.Code("component_terminated")
}
