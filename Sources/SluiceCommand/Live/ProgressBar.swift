/// How far a bounded job is.
public struct ProgressBar: Sendable {
    public let done: UInt64
    public let total: UInt64

    public init(done: UInt64, total: UInt64) {
        self.done = min(done, total)
        self.total = total
    }

    /// 0...1; an empty job is done.
    public var share: Double { total == 0 ? 1 : Double(done) / Double(total) }

    /// Whole per cent, rounded down: 100 only at the end.
    public var percent: Int { total == 0 ? 100 : Int(Double(done) / Double(total) * 100) }

    /// Seconds to the end at a rate; nil when there is none.
    public func eta(rate: Double?) -> Double? {
        if done == total { return 0 }
        guard let rate, rate > 0 else { return nil }
        return Double(total - done) / rate
    }

    /// `[#####-----]`, `width` columns in all.
    public func bar(width: Int) -> String {
        let inner = max(1, width - 2)
        let full = min(inner, Int(share * Double(inner)))
        return "[" + String(repeating: "#", count: full) + String(repeating: "-", count: inner - full) + "]"
    }
}
