/// When an aggregator is given a bundle of the blocks of its streams, and which of them it is given.
///
/// The aligned policies and the window depend on the blocks alone: the same chains give the same bundles, in whatever order the blocks
/// arrive. The other two depend on the order of arrival, and suit the tip of chains rather than a backfill.
public enum SynchronizationPolicy: Hashable, Sendable {
    /// One bundle a block of one stream, the trigger, with what has arrived from the others since the bundle before. How many blocks of
    /// each other stream a bundle must and may hold is said by `others`: one for each of them in the order of the streams, or a single
    /// one that stands for all.
    case onUpdate(of: Int, others: [Cardinality], timeout: Timeout = .wait)
    /// One bundle at every block of any stream, with the newest block of every stream; once each stream has one.
    case latestOfEach(timeout: Timeout = .wait)
    /// One bundle a height, with the block of that height of every stream. A height that a stream does not have is passed over.
    case alignedByHeight(timeout: Timeout = .wait)
    /// One block of every stream, whose times lie at most `tolerance` seconds apart: the earliest that fit. A block without such
    /// company is passed over.
    case alignedByTime(tolerance: UInt64, timeout: Timeout = .wait)
    /// All blocks whose times fall into `[k * seconds, (k + 1) * seconds)`, when every stream has a block behind it. A window without
    /// blocks gives no bundle.
    case window(seconds: UInt64, timeout: Timeout = .wait)

    /// What happens when a stream keeps the others waiting.
    public var timeout: Timeout {
        switch self {
        case .onUpdate(_, _, let timeout), .latestOfEach(let timeout), .alignedByHeight(let timeout),
            .alignedByTime(_, let timeout), .window(_, let timeout):
            timeout
        }
    }
}

/// How many blocks of a stream a bundle holds that another stream's block triggers. No block is left out, and none comes twice.
public enum Cardinality: String, Hashable, Sendable {
    /// All that have arrived since the bundle before; when there is none, the trigger waits for one.
    case atLeastOne = "at_least_one"
    /// All that have arrived since the bundle before, if any.
    case any
    /// None or one. When more have arrived, the oldest comes first and the rest wait for the next triggers.
    case atMostOne = "at_most_one"
}

/// What happens when some streams have what a bundle needs and others let them wait.
public enum Timeout: Hashable, Sendable {
    /// They wait for as long as it takes.
    case wait
    /// After so long the bundle is made of what is there, and says so. What would have belonged to it comes too late then.
    case emitPartial(after: Duration)
    /// After so long the bundle is given up, and its blocks are counted. A trigger is given up alone.
    case skip(after: Duration)
    /// After so long the aggregator fails.
    case fail(after: Duration)

    /// How long the streams wait for each other; nil for ever.
    public var duration: Duration? {
        switch self {
        case .wait: nil
        case .emitPartial(let after), .skip(let after), .fail(let after): after
        }
    }
}

extension SynchronizationPolicy: CustomStringConvertible {
    /// In words that can be read back: `on_update 1 any,at_most_one`, `latest_of_each`, `aligned_by_height`, `aligned_by_time 12`,
    /// `window 60`, each with ` emit_partial 30000` or the like behind it when the wait is not for ever, in milliseconds.
    public var description: String {
        let words =
            switch self {
            case .onUpdate(let trigger, let others, _):
                "on_update \(trigger)" + (others.isEmpty ? "" : " " + others.map(\.rawValue).joined(separator: ","))
            case .latestOfEach: "latest_of_each"
            case .alignedByHeight: "aligned_by_height"
            case .alignedByTime(let tolerance, _): "aligned_by_time \(tolerance)"
            case .window(let seconds, _): "window \(seconds)"
            }
        return words + timeout.suffix
    }

    /// Reads what `description` made; nil for anything else.
    public init?(_ text: String) {
        var words = text.split(separator: " ").map(String.init)
        var timeout = Timeout.wait
        if words.count > 2, let read = Timeout(words[words.count - 2], words[words.count - 1]) {
            timeout = read
            words.removeLast(2)
        }
        switch (words.first, words.count) {
        case ("on_update", 2), ("on_update", 3):
            let others = (words.count > 2 ? words[2] : "").split(separator: ",").map { Cardinality(rawValue: String($0)) }
            guard let trigger = Int(words[1]), !others.contains(nil) else { return nil }
            self = .onUpdate(of: trigger, others: others.compactMap { $0 }, timeout: timeout)
        case ("latest_of_each", 1): self = .latestOfEach(timeout: timeout)
        case ("aligned_by_height", 1): self = .alignedByHeight(timeout: timeout)
        case ("aligned_by_time", 2):
            guard let tolerance = UInt64(words[1]) else { return nil }
            self = .alignedByTime(tolerance: tolerance, timeout: timeout)
        case ("window", 2):
            guard let seconds = UInt64(words[1]) else { return nil }
            self = .window(seconds: seconds, timeout: timeout)
        default: return nil
        }
    }
}

extension Timeout {
    fileprivate var suffix: String {
        switch self {
        case .wait: ""
        case .emitPartial(let after): " emit_partial \(after.milliseconds)"
        case .skip(let after): " skip \(after.milliseconds)"
        case .fail(let after): " fail \(after.milliseconds)"
        }
    }

    fileprivate init?(_ name: String, _ milliseconds: String) {
        guard let after = Int64(milliseconds).map({ Duration.milliseconds($0) }) else { return nil }
        switch name {
        case "emit_partial": self = .emitPartial(after: after)
        case "skip": self = .skip(after: after)
        case "fail": self = .fail(after: after)
        default: return nil
        }
    }
}

extension Duration {
    fileprivate var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000 + attoseconds / 1_000_000_000_000_000
    }
}
