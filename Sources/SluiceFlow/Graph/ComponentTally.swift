import SluiceCore
import Synchronization

/// What went through the components of readings that have ended. A block that had to be read again counts again.
final class ComponentTally: Sendable {
    private let state = Mutex<[ComponentStatistics]>([])

    /// In the order in which they first worked: each behind what it reads.
    var components: [ComponentStatistics] { state.withLock { $0 } }

    func add(_ components: [ComponentStatistics]) {
        state.withLock { all in
            for component in components {
                if let index = all.firstIndex(where: { $0.register == component.register }) {
                    all[index] = all[index].merged(with: component)
                } else {
                    all.append(component)
                }
            }
        }
    }
}

extension ComponentStatistics {
    fileprivate func merged(with other: ComponentStatistics) -> ComponentStatistics {
        var rows = rows
        rows.in += other.rows.in
        rows.out += other.rows.out
        rows.filtered.merge(other.rows.filtered) { $0 + $1 }
        rows.deadLetters += other.rows.deadLetters
        return ComponentStatistics(register: register, users: max(users, other.users), rows: rows)
    }
}
