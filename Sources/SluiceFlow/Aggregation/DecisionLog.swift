import SluiceCore

/// How far a stream has come in one decision. Numbers are those of the block behind, so that 0 is nothing.
struct StreamMark: Hashable, Sendable {
    /// Blocks below are done with.
    var taken: UInt64 = 0
    /// The decision rests on blocks below: on those that are taken, and on what showed that nothing else would come.
    var seen: UInt64 = 0
    /// Blocks below this height or time come too late.
    var lateBelow: UInt64 = 0
}

/// A step that was made: a bundle, or blocks that are done with without one.
struct Decision: Sendable {
    enum Kind: Hashable, Sendable {
        case bundle
        /// Blocks that no bundle will hold.
        case passedOver(Synchronizer.PassedOver, Int)
        /// A block that later bundles hold as the newest of its stream.
        case held
    }

    let kind: Kind
    /// The last bundle up to here, this one if it is one.
    let bundle: BlockRef
    /// The last block of any stream that had come.
    let moment: UInt64
    /// In the order of the streams.
    let marks: [StreamMark]
}

/// The steps that may still be undone, and the last one that may not.
struct DecisionLog: Sendable {
    private(set) var ground: Decision
    private(set) var open = Ring<Decision>()
    /// The last step: the ground when all others are undone or final.
    private(set) var last: Decision

    init(ground: Decision) {
        self.ground = ground
        last = ground
    }

    mutating func append(_ decision: Decision) {
        open.append(decision)
        last = decision
    }

    /// Undoes the first step that rests on a block of a stream, and all behind it. Returns them, the last first.
    mutating func undo(stream: Int, from number: UInt64) -> [Decision] {
        // What a step rests on never shrinks from one step to the next.
        let clean = open.partition { $0.marks[stream].seen > number }
        var undone: [Decision] = []
        while open.count > clean { undone.append(open.removeLast()) }
        last = open.last ?? ground
        return undone
    }

    /// Takes the first open step for final, which must be there.
    mutating func settle() { ground = open.removeFirst() }
}
