/// A queue in a circle of slots: both ends change in constant time, and what is taken out is released at once.
struct Ring<Element: Sendable>: Sendable {
    private var slots: [Element?] = []
    private var head = 0
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }
    var last: Element? { count == 0 ? nil : self[count - 1] }

    /// The element at a distance from the first.
    subscript(_ index: Int) -> Element {
        precondition(index >= 0 && index < count, "outside of the ring")
        guard let element = slots[(head + index) & (slots.count - 1)] else { preconditionFailure("an empty slot in the ring") }
        return element
    }

    mutating func append(_ element: consuming Element) {
        if count == slots.count { grow() }
        slots[(head + count) & (slots.count - 1)] = element
        count += 1
    }

    /// Takes out the first element; there must be one.
    mutating func removeFirst() -> Element {
        precondition(count > 0, "an empty ring")
        // Taken, not copied: what it refers to is not counted up and down again.
        guard let element = slots[head].take() else { preconditionFailure("an empty slot in the ring") }
        head = (head + 1) & (slots.count - 1)
        count -= 1
        return element
    }

    /// Takes out the last element; there must be one.
    @discardableResult mutating func removeLast() -> Element {
        precondition(count > 0, "an empty ring")
        count -= 1
        guard let element = slots[(head + count) & (slots.count - 1)].take() else { preconditionFailure("an empty slot in the ring") }
        return element
    }

    /// The first index whose element passes, when all behind it pass as well; `count` when none does.
    func partition(_ passes: (Element) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if passes(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    private mutating func grow() {
        // A power of two, so that a mask finds the slot.
        var wider = [Element?](repeating: nil, count: max(8, slots.count * 2))
        for index in 0..<count { wider[index] = self[index] }
        slots = wider
        head = 0
    }
}
