/// What the bucket itself is to do with the sink's objects: only what is asked for is touched.
public struct BucketSettings: Sendable, Hashable {
    /// Whether the bucket is to keep what is replaced or removed.
    public var versioning: Bool
    /// Days after which objects get another storage class, and which.
    public var warm: Step?
    public var cold: Step?
    /// Days that versions stay which are not the newest.
    public var oldVersionDays: Int?
    /// Days after which an upload in parts that never ended is given up.
    public var unfinishedDays: Int?

    /// Where objects go that have been there for so long.
    public struct Step: Sendable, Hashable {
        public var days: Int
        public var storageClass: String

        public init(days: Int, storageClass: String) {
            self.days = days
            self.storageClass = storageClass
        }
    }

    public init(versioning: Bool = false, warm: Step? = nil, cold: Step? = nil, oldVersionDays: Int? = nil, unfinishedDays: Int? = nil) {
        self.versioning = versioning
        self.warm = warm
        self.cold = cold
        self.oldVersionDays = oldVersionDays
        self.unfinishedDays = unfinishedDays
    }

    /// What the names of the rules begin with that belong to a chain of a sink: other sinks may share the bucket.
    static func start(_ prefix: String, chainID: UInt64) -> String {
        "sluice-\(SHA256.text(SHA256.hash(Array(prefix.utf8))).prefix(8))-\(chainID)-"
    }

    /// The rules that a chain's objects need; empty when none is asked for.
    ///
    /// Files of tables grow cold and old, manifests do not: they say what was there, too.
    /// - Parameter retention: days that rows stay. The sink takes them off by their date; the rule, a day later, sees to what it did not
    ///   come to while it was not running.
    func rules(_ prefix: String, chainID: UInt64, tables: [String], retention: Int?) -> [LifecycleRule] {
        let start = Self.start(prefix, chainID: chainID)
        let root = prefix.isEmpty ? "" : prefix + "/"
        func rule(_ name: String, _ place: String) -> LifecycleRule {
            var rule = LifecycleRule(id: start + name, prefix: "\(root)\(place)/")
            (rule.noncurrent, rule.uploads) = (oldVersionDays, unfinishedDays)
            return rule
        }
        let files = tables.sorted().map { table in
            var made = rule(table, "\(table)/chain_id=\(chainID)")
            made.transitions = [warm, cold].compactMap { $0 }.map { .init(days: $0.days, storageClass: $0.storageClass) }
            made.expiration = retention.map { $0 + 1 }
            return made
        }
        return (files + ["_manifests", "_temporary"].map { rule($0, "\($0)/\(chainID)") }).filter { !$0.asksNothing }
    }

    /// What cannot be, in words; nil when all is well.
    func contradiction(retention: Int?) -> String? {
        let steps = [("warm_after", warm?.days), ("cold_after", cold?.days), ("retention", retention)].compactMap { name, days in
            days.map { (name: name, days: $0) }
        }
        for (one, next) in zip(steps, steps.dropFirst()) where one.days >= next.days {
            return "\(one.name) (\(one.days)d) must come before \(next.name) (\(next.days)d)"
        }
        return nil
    }
}
