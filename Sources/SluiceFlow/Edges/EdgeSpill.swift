import SluiceCore

/// What an edge knows of its files without touching them: what waits to be written, and how much is there. Pure.
struct EdgeSpill: Sendable {
    /// Work for the edge's thread, which does one piece at a time.
    enum Job: Sendable {
        case open
        case write([EdgeItem])
        /// Reads the first record if `takesOne`, then as many as fit.
        case load(room: Int, takesOne: Bool)
        case discard
    }

    /// Handed over, in memory, behind all that is on disk.
    private(set) var staged = RingQueue<EdgeItem>()
    private(set) var stagedWeight = 0
    /// So many of `staged`, from the first, are being written.
    private(set) var writing = 0
    /// On disk and not read.
    private(set) var records = 0
    /// False once the disk has failed: the edge then suspends its senders. It stays so for the rest of the run.
    private(set) var isUsable = true

    private let capacity: Int
    private var nextWeight = 0
    /// The next record would go beyond the limit on disk.
    private var isFull = false
    private var isRunning = false
    private var isOpened = false
    private var wroteLast = false
    private var isDiscarding = false

    init(capacity: Int) { self.capacity = capacity }

    /// Whether nothing lies between what is staged and the reader's memory.
    var isDirect: Bool { records == 0 && writing == 0 }

    /// Whether a transit may be handed over. One that is heavier alone may, when nothing else waits.
    func fits(_ weight: Int) -> Bool { isUsable && (staged.isEmpty || stagedWeight + weight <= capacity) }

    mutating func stage(_ item: EdgeItem) {
        staged.append(item)
        stagedWeight += item.weight
    }

    /// Takes the first that is staged, because memory has room for it or because it is on disk.
    mutating func unstage() -> EdgeItem? {
        guard let item = staged.popFirst() else { return nil }
        stagedWeight -= item.weight
        // Whatever did not fit on disk may have been this one.
        isFull = false
        return item
    }

    // MARK: the thread

    /// Whether the thread must be started.
    mutating func start(frontWeight: Int) -> Bool {
        guard !isRunning, hasWork(frontWeight: frontWeight) else { return false }
        isRunning = true
        return true
    }

    /// The next piece of work; nil when there is none, and the thread may rest.
    mutating func nextJob(frontWeight: Int) -> Job? {
        if !isOpened {
            isOpened = true
            return .open
        }
        if isDiscarding {
            isDiscarding = false
            return .discard
        }
        let (canLoad, canWrite) = (canLoad(frontWeight), canWrite)
        if canLoad, wroteLast || !canWrite {
            wroteLast = false
            return .load(room: capacity - frontWeight, takesOne: frontWeight == 0)
        }
        if canWrite {
            wroteLast = true
            return .write(chunk())
        }
        isRunning = false
        return nil
    }

    private func hasWork(frontWeight: Int) -> Bool { !isOpened || isDiscarding || canLoad(frontWeight) || canWrite }

    private func canLoad(_ frontWeight: Int) -> Bool { records > 0 && (frontWeight == 0 || frontWeight + nextWeight <= capacity) }

    private var canWrite: Bool { isUsable && !isFull && !staged.isEmpty }

    private mutating func chunk() -> [EdgeItem] {
        var items: [EdgeItem] = []
        var weight = 0
        while items.count < min(staged.count, 1024), weight < SpillFiles.chunk, let item = staged[items.count] {
            items.append(item)
            weight += item.weight
        }
        writing = items.count
        return items
    }

    /// Notes what became of the last `write`; returns what is on disk now.
    mutating func written(_ result: SpillFiles.Written) -> EdgeAccounts.Tally {
        writing = 0
        var moved = EdgeAccounts.Tally()
        for _ in 0..<result.count {
            guard let item = unstage() else { break }
            moved += item.tally
            records += 1
        }
        isFull = result.isFull
        if result.error != nil { isUsable = false }
        return moved
    }

    /// Notes what came back.
    mutating func loaded(_ result: SpillFiles.Loaded, freed: Bool) {
        records -= result.items.count
        nextWeight = result.nextWeight ?? 0
        if freed { isFull = false }
    }

    /// Notes that nothing can be written.
    mutating func giveUp() { isUsable = false }

    /// Forgets everything, on disk too.
    mutating func discard() {
        staged = RingQueue()
        (stagedWeight, writing, records) = (0, 0, 0)
        isDiscarding = true
    }
}
