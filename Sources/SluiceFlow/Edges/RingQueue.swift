/// A queue whose both ends cost the same, however long it is: a ring that grows by doubling. (Taking the first of an array moves all others.)
struct RingQueue<Element> {
    /// As many places as a power of two, so that a mask wraps an index.
    private var places: [Element?] = []
    private var head = 0
    private(set) var count = 0

    init() {}

    var isEmpty: Bool { count == 0 }

    var first: Element? { count == 0 ? nil : places[head] }

    var last: Element? { count == 0 ? nil : places[(head + count - 1) & (places.count - 1)] }

    /// The element at a distance from the first, which must be smaller than `count`.
    subscript(distance: Int) -> Element? {
        precondition(distance >= 0 && distance < count, "outside of the queue")
        return places[(head + distance) & (places.count - 1)]
    }

    mutating func append(_ element: consuming Element) {
        if count == places.count { grow() }
        places[(head + count) & (places.count - 1)] = element
        count += 1
    }

    mutating func popFirst() -> Element? {
        guard count > 0 else { return nil }
        let element = places[head].take()
        head = (head + 1) & (places.count - 1)
        count -= 1
        return element
    }

    mutating func popLast() -> Element? {
        guard count > 0 else { return nil }
        count -= 1
        return places[(head + count) & (places.count - 1)].take()
    }

    /// Removes the first element that fits; the others keep their order. Costs as much as there are elements.
    mutating func remove(where fits: (Element) -> Bool) -> Element? {
        var found: Element?
        var kept = RingQueue()
        while let element = popFirst() {
            if found == nil, fits(element) { found = element } else { kept.append(element) }
        }
        self = kept
        return found
    }

    /// Everything in order; the queue is empty afterwards.
    mutating func drain() -> [Element] {
        var all: [Element] = []
        all.reserveCapacity(count)
        while let element = popFirst() { all.append(element) }
        self = RingQueue()
        return all
    }

    private mutating func grow() {
        var wider: [Element?] = []
        let room = max(8, places.count * 2)
        wider.reserveCapacity(room)
        for distance in 0..<count { wider.append(places[(head + distance) & (places.count - 1)].take()) }
        while wider.count < room { wider.append(nil) }
        places = wider
        head = 0
    }
}

extension RingQueue: Sendable where Element: Sendable {}
