import SluiceCore
import Synchronization

/// The branches of one pipeline, one for each of its sinks: what each must know of the others.
final class LaneBoard: Sendable {
    private struct Lane {
        var branch: Branch
        /// What the branches before it had opened, while it has not opened its sink itself.
        var before: [OpenedSink] = []

        var sinks: [OpenedSink] {
            let opened = branch.opened
            return opened.isEmpty ? before : opened
        }
    }

    private struct State {
        var lanes: [Lane] = []
        /// Where those began that have ended.
        var begin: UInt64?
    }

    private let state = Mutex(State())

    /// In the order of the sinks; some may have ended.
    var branches: [Branch] { state.withLock { $0.lanes.map(\.branch) } }

    /// All sinks as they are known; one that cannot be opened at the moment as it was.
    var sinks: [OpenedSink] { state.withLock { $0.lanes }.flatMap(\.sinks) }

    /// Where the newest blocks begin that any sink holds or was given: there those begin that have nothing, when the pipeline does not say.
    var begin: UInt64? { (sinks.compactMap(\.begin) + [state.withLock { $0.begin }].compactMap { $0 }).min() }

    /// Puts a branch in its place; whoever was there has ended.
    func put(_ branch: Branch, at index: Int) {
        state.withLock { state in
            guard index < state.lanes.count else { return state.lanes.append(Lane(branch: branch)) }
            let before = state.lanes[index].sinks
            state.begin = (before.compactMap(\.begin) + [state.begin].compactMap { $0 }).min()
            state.lanes[index] = Lane(branch: branch, before: before)
        }
    }
}
