import CDuckDB
import Glibc
import SluiceCore

/// Rows on their way into a statement that is running already: the writer suspends while too much is waiting, the statement's
/// thread blocks while nothing is. One writer, one statement; a writer of several streams shares its room out among them.
public final class SliceStream: @unchecked Sendable {
    // SAFETY: all state below is touched inside `gate.locked` only, but for `current`, which is the reading thread's own.
    private let gate = Gate()
    private let room: SliceRoom
    private var waiting: [TableSlice] = []
    private var ending: Ending?

    private enum Ending {
        case end
        case aborted
        /// The statement is over, well or not: nobody reads any more.
        case closed
    }

    /// What the chunk being made may point to: the slice given last, and those that it began in.
    private var current: [PinnedSlice] = []

    /// - Parameter room: what may wait in it, and in the other streams of its writer.
    public init(room: SliceRoom) { self.room = room }

    /// Hands over rows; returns when few enough are waiting. Rows pushed after `close` go nowhere: the statement's own error says why.
    public func push(_ slice: TableSlice) async {
        guard !slice.rows.isEmpty else { return }
        let isTaken = gate.locked { () -> Bool in
            guard ending == nil else { return false }
            // Inside, so that the room is never left before it was entered.
            room.enter(slice.byteCount)
            waiting.append(slice)
            gate.signal()
            return true
        }
        if isTaken { await room.wait() }
    }

    /// No more rows will come: the statement ends when it has read those that are waiting.
    public func finish() { end(.end) }

    /// Makes the statement fail.
    public func abort() { end(.aborted) }

    /// To be called when the statement is over.
    public func close() { end(.closed) }

    /// Whether the statement is over.
    public var isClosed: Bool { gate.locked { ending == .closed } }

    private func end(_ how: Ending) {
        let given = gate.locked { () -> Int in
            if ending == nil || how == .closed { ending = how }
            gate.signal()
            // Who ends well still reads what waits.
            if ending == .end { return 0 }
            defer { waiting = [] }
            return waiting.reduce(0) { $0 + $1.byteCount }
        }
        room.leave(given)
    }

    /// Valid while the stream is held.
    var described: duck_feed {
        duck_feed(
            context: Unmanaged.passUnretained(self).toOpaque(),
            next: { context, out, error in
                guard let context, let out, let error else { return 0 }
                return Unmanaged<SliceStream>.fromOpaque(context).takeUnretainedValue().advance(out, error)
            },
            done: { context in
                guard let context else { return }
                let stream = Unmanaged<SliceStream>.fromOpaque(context).takeUnretainedValue()
                stream.current.removeFirst(max(0, stream.current.count - 1))
            })
    }

    private static let abortText: StaticString = "the rows were taken back"

    private func advance(_ out: UnsafeMutablePointer<duck_slice>, _ error: UnsafeMutablePointer<UnsafePointer<CChar>?>) -> Int32 {
        var next: TableSlice?
        var aborted = false
        gate.locked {
            while waiting.isEmpty && ending == nil { gate.wait() }
            aborted = ending == .aborted || ending == .closed
            guard !aborted, !waiting.isEmpty else { return }
            next = waiting.removeFirst()
        }
        if let next { room.leave(next.byteCount) }
        if aborted {
            error.pointee = UnsafeRawPointer(Self.abortText.utf8Start).assumingMemoryBound(to: CChar.self)
            return -1
        }
        guard let next else { return 0 }
        // What planning the statement needed of the library's code is not needed to run it.
        if current.isEmpty { duck_forget_code() }
        let pinned = PinnedSlice(next)
        current.append(pinned)
        out.pointee = pinned.described
        return 1
    }
}
