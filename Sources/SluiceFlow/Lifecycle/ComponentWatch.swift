public import SluiceCore

extension SluiceError.Code {
    /// A component ended that nobody had asked to end.
    public static let componentTerminated = SluiceError.Code("component_terminated")
}

/// Knows which components work for which pipelines, and what it means when one of them ends. Pure.
///
/// A component that ends without being asked takes all pipelines that it works for with it: each is told to fail, and with that to
/// let its other components end, too.
public struct ComponentWatch: Sendable {
    private struct Entry {
        var state = ActivityState.inactive
        /// Pipelines that it works for; none when it was asked to end.
        var pipelines: [PUUID]
    }

    private var entries: [CUUID: Entry] = [:]

    public init() {}

    /// What a component told last; nil when it is not known, or ended and is forgotten.
    public func state(of component: CUUID) -> ActivityState? { entries[component]?.state }

    /// The pipelines that a component works for, in the order in which they joined.
    public func pipelines(of component: CUUID) -> [PUUID] { entries[component]?.pipelines ?? [] }

    /// A pipeline begins to use a component. Returns false when the component was asked to end, or ended: a new one must be made.
    public mutating func join(_ pipeline: PUUID, _ component: CUUID) -> Bool {
        guard var entry = entries[component] else {
            entries[component] = Entry(pipelines: [pipeline])
            return true
        }
        guard !entry.pipelines.isEmpty, entry.state != .terminated else { return false }
        if !entry.pipelines.contains(pipeline) { entry.pipelines.append(pipeline) }
        entries[component] = entry
        return true
    }

    /// A pipeline ends. Returns the components that work for no other one: these are to be asked to end, and may do so. Those that it
    /// shares go on.
    public mutating func leave(_ pipeline: PUUID) -> [CUUID] {
        var idle: [CUUID] = []
        for (component, entry) in entries where entry.pipelines.contains(pipeline) {
            let others = entry.pipelines.filter { $0 != pipeline }
            if others.isEmpty, entry.state == .terminated {
                entries[component] = nil
            } else {
                entries[component]?.pipelines = others
                if others.isEmpty { idle.append(component) }
            }
        }
        return idle.sorted { $0.uuid < $1.uuid }
    }

    /// Takes what a component tells. Returns the pipelines that fail because of it, and with what.
    public mutating func on(_ change: ActivityChange) -> [(pipeline: PUUID, command: PipelineCommand)] {
        // What has ended stays ended: anything that arrives later was overtaken.
        guard var entry = entries[change.component], entry.state != .terminated else { return [] }
        if change.state == .terminated, entry.pipelines.isEmpty {
            // It was asked to, and nobody will ask for it again.
            entries[change.component] = nil
            return []
        }
        entry.state = change.state
        entries[change.component] = entry
        guard change.state == .terminated else { return [] }
        let unexplained = "the component \(change.component) ended without being asked to and without a reason"
        let error = change.cause ?? SluiceError(.componentTerminated, .fatal, unexplained)
        return entry.pipelines.map { ($0, .fail(error)) }
    }
}
