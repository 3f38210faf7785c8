import SluiceCore

/// All that an edge knows, and every decision that it takes: who passes, who waits, who goes on. No I/O, and no lock: `Edge` has one.
///
/// What waits stands in one line: `front` (memory, for the reader), then the disk, then what is staged for the disk, then the senders that
/// are suspended. Nothing overtakes.
struct EdgeState: Sendable {
    struct Sender: Sendable {
        let id: UInt64
        let item: EdgeItem
        let waiter: Waiter<Void>
    }

    /// What became of a transit.
    enum Offer: Sendable {
        case taken
        /// There is no room; the sender must wait.
        case full
        case refused(any Error)
    }

    /// What there is for the reader.
    enum Next: Sendable {
        case transit(Transit)
        /// Nothing yet.
        case none
        /// Nothing will come.
        case end
        case failed(any Error)
    }

    private let capacity: Int
    private var front = RingQueue<EdgeItem>()
    private var frontWeight = 0
    private var senders = RingQueue<Sender>()
    private var receiver: Waiter<Transit?>?
    private var end: Result<Void, any Error>?
    /// Kept by an edge that drops.
    private var holes: EdgeHoles?
    /// Kept by an edge that spills.
    private var spill: EdgeSpill?
    private var counted = EdgeAccounts()
    private var nextID: UInt64 = 0

    init(capacity: Int, policy: EdgePolicy) {
        self.capacity = capacity
        switch policy {
        case .block: break
        case .spill: spill = EdgeSpill(capacity: capacity)
        case .dropNewest: holes = EdgeHoles()
        }
    }

    var accounts: EdgeAccounts {
        var accounts = counted
        accounts.memoryBytes = frontWeight + (spill?.stagedWeight ?? 0)
        accounts.suspended = senders.count
        return accounts
    }

    // MARK: sending

    /// Takes a transit if there is room, or if the policy makes room. A task that is cancelled sends nothing more.
    /// - Parameter wake: stays nil when nobody is to be woken, as nearly always.
    mutating func offer(_ item: EdgeItem, isCancelled: Bool, _ wake: inout EdgeWake?) -> Offer {
        if let end {
            switch end {
            case .success: return .refused(EdgeFinished())
            case .failure(let error): return .refused(error)
            }
        }
        if isCancelled { return .refused(CancellationError()) }
        if holes != nil {
            passOrDrop(item)
            wake = settle()
            return .taken
        }
        guard senders.isEmpty, admit(item) else { return .full }
        if receiver != nil || spill != nil { wake = settle() }
        return .taken
    }

    /// A number for a sender that is about to wait.
    mutating func ticket() -> UInt64 {
        nextID += 1
        return nextID
    }

    /// Lets a sender wait whose transit was refused for want of room.
    mutating func suspend(_ sender: Sender) {
        senders.append(sender)
        counted.suspensions += 1
    }

    /// Sends a waiting sender away. Those behind it may fit now. Nil when it does not wait.
    mutating func withdraw(_ id: UInt64) -> (sender: Sender, wake: EdgeWake)? {
        senders.remove { $0.id == id }.map { ($0, settle()) }
    }

    private func fits(_ weight: Int) -> Bool { frontWeight == 0 || frontWeight + weight <= capacity }

    /// Puts a transit at the end of the line, in memory or before the disk.
    private mutating func admit(_ item: EdgeItem) -> Bool {
        if spill.map({ $0.isDirect && $0.staged.isEmpty }) ?? true, fits(item.weight) {
            push(item)
        } else if spill?.fits(item.weight) ?? false {
            spill?.stage(item)
        } else {
            return false
        }
        counted.sent += item.tally
        counted.inMemory += item.tally
        return true
    }

    private mutating func push(_ item: EdgeItem) {
        front.append(item)
        frontWeight += item.weight
    }

    private mutating func passOrDrop(_ item: EdgeItem) {
        switch item.transit {
        case .batch(let batch):
            counted.sent += item.tally
            guard fits(item.weight) else {
                counted.dropped += item.tally
                holes?.drop()
                return
            }
            holes?.pass(batch.span)
            push(item)
            counted.inMemory += item.tally
        case .rollback(let position):
            for position in holes?.rollbacks(to: position) ?? [] { push(EdgeItem(.rollback(to: position))) }
        case .finalized(let number):
            holes?.finalize(through: number)
            // Beyond the capacity the newest is enough: a reader that stands still must not gather one a block.
            if !fits(item.weight), let last = front.last, case .finalized = last.transit { pop(front.popLast()) }
            push(item)
        }
    }

    // MARK: receiving

    /// What is there for the reader in memory.
    mutating func takeNow(_ wake: inout EdgeWake?) -> Transit? {
        guard let transit = popFront() else { return nil }
        if spill != nil || !senders.isEmpty { wake = settle() }
        return transit
    }

    /// What the reader gets now.
    mutating func take(_ wake: inout EdgeWake?) -> Next {
        if let transit = takeNow(&wake) { return .transit(transit) }
        switch end {
        case .failure(let error): return .failed(error)
        case .success: return isEmpty ? .end : .none
        case nil: return .none
        }
    }

    /// Lets the reader wait, for which there was nothing.
    mutating func await(_ waiter: Waiter<Transit?>) {
        precondition(receiver == nil, "an edge has one receiver")
        receiver = waiter
    }

    /// Sends the waiting reader away; nil when it does not wait.
    mutating func withdrawReceiver() -> Waiter<Transit?>? { receiver.take() }

    /// Whether nothing waits, anywhere.
    var isEmpty: Bool { front.isEmpty && senders.isEmpty && spill.map { $0.isDirect && $0.staged.isEmpty } ?? true }

    private mutating func popFront() -> Transit? {
        guard let item = pop(front.popFirst()) else { return nil }
        counted.received += item.tally
        counted.inMemory -= item.tally
        return item.transit
    }

    @discardableResult private mutating func pop(_ item: EdgeItem?) -> EdgeItem? {
        frontWeight -= item?.weight ?? 0
        return item
    }

    /// Moves everyone up who can move, and says who goes on.
    private mutating func settle() -> EdgeWake {
        var wake = EdgeWake()
        moveUp(&wake)
        if receiver != nil {
            if let transit = popFront() {
                wake.receiver = receiver.take().map { ($0, .success(transit)) }
                moveUp(&wake)
            } else if case .success = end, isEmpty {
                wake.receiver = receiver.take().map { ($0, .success(nil)) }
            }
        }
        wake.startsThread = spill?.start(frontWeight: frontWeight) ?? false
        return wake
    }

    private mutating func moveUp(_ wake: inout EdgeWake) {
        while spill?.isDirect ?? false, let item = spill?.staged.first, fits(item.weight) {
            _ = spill?.unstage()
            push(item)
        }
        while let sender = senders.first, admit(sender.item) {
            _ = senders.popFirst()
            wake.senders.append(sender.waiter)
        }
    }

    // MARK: ending

    /// Ends the edge, unless it has ended. A damaged disk (`always`) also ends one that has only finished: its reader waits for what cannot come.
    mutating func close(_ end: Result<Void, any Error>, always: Bool = false) -> EdgeWake {
        if let before = self.end {
            guard always, case .success = before else { return EdgeWake() }
        }
        self.end = end
        guard case .failure(let error) = end else { return settle() }
        var wake = EdgeWake(senders: senders.drain().map(\.waiter), refusal: error)
        wake.receiver = receiver.take().map { ($0, .failure(error)) }
        counted.abandoned += counted.waiting
        (counted.inMemory, counted.onDisk) = (EdgeAccounts.Tally(), EdgeAccounts.Tally())
        (front, frontWeight) = (RingQueue(), 0)
        spill?.discard()
        wake.startsThread = spill?.start(frontWeight: 0) ?? false
        return wake
    }

    private var hasFailed: Bool {
        if case .failure = end { return true }
        return false
    }

    // MARK: the disk

    /// Starts the thread for the first time: the folder is made before it is needed.
    mutating func begin() -> EdgeWake { settle() }

    mutating func nextJob() -> EdgeSpill.Job? { spill?.nextJob(frontWeight: frontWeight) }

    mutating func opened(_ isOpened: Bool) -> EdgeWake {
        if !isOpened { spill?.giveUp() }
        return settle()
    }

    mutating func written(_ result: SpillFiles.Written) -> EdgeWake {
        // What an edge wrote that has failed meanwhile is discarded next.
        guard !hasFailed, let moved = spill?.written(result) else { return EdgeWake() }
        counted.inMemory -= moved
        counted.onDisk += moved
        counted.spilled += moved
        counted.diskBytes = result.bytes
        return settle()
    }

    mutating func loaded(_ result: SpillFiles.Loaded) -> EdgeWake {
        guard !hasFailed else { return EdgeWake() }
        for item in result.items {
            push(item)
            counted.onDisk -= item.tally
            counted.inMemory += item.tally
        }
        spill?.loaded(result, freed: result.bytes < counted.diskBytes)
        counted.diskBytes = result.bytes
        return settle()
    }

    mutating func discarded() { counted.diskBytes = 0 }
}
