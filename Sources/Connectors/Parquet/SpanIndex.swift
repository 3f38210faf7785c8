/// The spans that are written, as far as decisions about them need: which become one, and which are too old. Pure.
struct SpanIndex {
    struct Entry: Hashable {
        let first: UInt64
        let last: UInt64
        /// The UTC date of its blocks, `YYYY-MM-DD`; nil when neither manifest nor files tell.
        let date: String?
        /// Whether its rows were taken off for their age.
        let isExpired: Bool

        var range: ClosedRange<UInt64> { first...last }
    }

    /// In the order of blocks.
    private(set) var entries: [Entry] = []
    /// Whether nothing has changed since nothing was found to be joined.
    private var isSettled = false
    /// A date before which nothing was too old when that was last asked, and nothing has come since.
    private var fresh: String?

    init(_ entries: [Entry] = []) { self.entries = entries.sorted { $0.first < $1.first } }

    /// Adds a span, or takes it in the place of the one of the same blocks.
    mutating func insert(_ entry: Entry) {
        let at = firstIndex(from: entry.first)
        if at < entries.count, entries[at].range == entry.range {
            entries[at] = entry
        } else {
            entries.insert(entry, at: at)
        }
        (isSettled, fresh) = (false, nil)
    }

    mutating func remove(_ range: ClosedRange<UInt64>) {
        let at = firstIndex(from: range.lowerBound)
        if let found = entries[at...].prefix(2).firstIndex(where: { $0.range == range }) { entries.remove(at: found) }
        isSettled = false
    }

    /// Spans of which rows are there that are older than a date.
    mutating func outdated(before date: String) -> [Entry] {
        if fresh == date { return [] }
        let found = entries.filter { !$0.isExpired && ($0.date.map { $0 < date } ?? false) }
        fresh = found.isEmpty ? date : nil
        return found
    }

    /// Spans in a row that one file would hold had the run not been interrupted, and behind which that file ends: at a multiple, or because
    /// the next block is of another date. Nil when there are none.
    /// - Parameter oldest: spans of earlier dates are let alone.
    mutating func joinable(blocksPerFile: UInt64, from oldest: String?) -> [Entry]? {
        if isSettled { return nil }
        var run: [Entry] = []
        for entry in entries {
            if let last = run.last {
                if continues(entry, run, blocksPerFile) {
                    run.append(entry)
                } else {
                    // What follows at once ended the file by its date, when it did not by its number.
                    if run.count > 1, last.last + 1 == entry.first { return run }
                    run = []
                }
            }
            if run.isEmpty, canJoin(entry, blocksPerFile, oldest) { run = [entry] }
            if run.count > 1, (entry.last + 1) % blocksPerFile == 0 { return run }
        }
        isSettled = true
        return nil
    }

    private func canJoin(_ entry: Entry, _ blocksPerFile: UInt64, _ oldest: String?) -> Bool {
        if let oldest, let date = entry.date, date < oldest { return false }
        return !entry.isExpired && entry.first / blocksPerFile == entry.last / blocksPerFile
    }

    private func continues(_ entry: Entry, _ run: [Entry], _ blocksPerFile: UInt64) -> Bool {
        guard let last = run.last, last.last + 1 == entry.first, canJoin(entry, blocksPerFile, nil),
            entry.last / blocksPerFile == last.last / blocksPerFile
        else { return false }
        guard let date = entry.date, let own = run.lazy.compactMap(\.date).first else { return true }
        return date == own
    }

    private func firstIndex(from number: UInt64) -> Int {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].first < number { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
