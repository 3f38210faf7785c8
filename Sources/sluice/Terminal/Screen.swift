import Glibc
import SluiceCommand
import Synchronization

/// The part of the terminal that is redrawn in place, and the lines that go by above it. Neither the cursor is hidden nor another
/// screen used: whatever ends the process leaves a terminal that works.
final class Screen: Sendable {
    private struct State {
        var drawn: [String] = []
    }

    private let state = Mutex(State())

    /// Replaces what was drawn before.
    func draw(_ lines: [String]) {
        let lines = Array(lines.prefix(max(1, Output.height - 1)))
        state.withLock { state in
            Output.terminal(Self.erase(state.drawn.count) + Self.text(lines))
            state.drawn = lines
        }
    }

    /// A line for good, above what is drawn.
    func pass(_ line: String) {
        state.withLock { state in
            Output.terminal(Self.erase(state.drawn.count) + line + Self.text(state.drawn))
        }
    }

    /// Leaves what is drawn as it is; what comes later goes below it.
    func leave() { state.withLock { $0.drawn = [] } }

    /// Takes away what is drawn.
    func clear() { draw([]) }

    private static func erase(_ count: Int) -> String { count == 0 ? "" : "\r\u{1B}[\(count)A\u{1B}[J" }
    private static func text(_ lines: [String]) -> String { lines.map { $0 + "\u{1B}[K\n" }.joined() }
}
