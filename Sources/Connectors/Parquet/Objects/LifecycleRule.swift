/// A rule by which a server lets objects of a name's beginning grow cold and old. Pure: XML in, XML out.
struct LifecycleRule: Hashable {
    struct Transition: Hashable {
        let days: Int
        let storageClass: String
    }

    let id: String
    /// What the names begin with, from the bucket's root on.
    let prefix: String
    var transitions: [Transition] = []
    /// Days after which an object goes.
    var expiration: Int?
    /// Days after which a version goes that another one, or a removal, has taken the place of.
    var noncurrent: Int?
    /// Days after which an upload in parts that never ended is given up.
    var uploads: Int?

    var asksNothing: Bool { transitions.isEmpty && expiration == nil && noncurrent == nil && uploads == nil }

    var onlyExpires: Bool { transitions.isEmpty && noncurrent == nil && uploads == nil }

    /// - Parameter isOld: whether the prefix stands in the rule itself, as it did before there were filters. A bucket takes one form for all.
    func xml(isOld: Bool = false) -> String {
        let place = "<Prefix>\(XMLText.escaped(prefix))</Prefix>"
        var out = "<Rule><ID>\(XMLText.escaped(id))</ID>\(isOld ? place : "<Filter>\(place)</Filter>")<Status>Enabled</Status>"
        for transition in transitions {
            out += "<Transition><Days>\(transition.days)</Days>"
            out += "<StorageClass>\(XMLText.escaped(transition.storageClass))</StorageClass></Transition>"
        }
        if let expiration {
            out += "<Expiration><Days>\(expiration)</Days></Expiration>"
        } else if noncurrent != nil {
            // What is left of an object when all of its versions are gone.
            out += "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"
        }
        if let noncurrent {
            out += "<NoncurrentVersionExpiration><NoncurrentDays>\(noncurrent)</NoncurrentDays></NoncurrentVersionExpiration>"
        }
        if let uploads {
            out += "<AbortIncompleteMultipartUpload><DaysAfterInitiation>\(uploads)</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
        }
        return out + "</Rule>"
    }

    /// - Parameter rule: what stands within `<Rule>`. Nil when a server could not have it from us: it is switched off, or lacks its name.
    init?(rule: some StringProtocol) {
        guard XMLText.value("Status", in: rule) == "Enabled", let id = XMLText.value("ID", in: rule) else { return nil }
        self.id = id
        prefix = XMLText.value("Prefix", in: rule) ?? ""
        transitions = XMLText.elements("Transition", in: rule).compactMap { inner in
            guard let days = Self.number("Days", inner), let storageClass = XMLText.value("StorageClass", in: inner) else { return nil }
            return Transition(days: days, storageClass: storageClass)
        }.sorted { $0.days < $1.days }
        expiration = XMLText.elements("Expiration", in: rule).first.flatMap { Self.number("Days", $0) }
        noncurrent = XMLText.elements("NoncurrentVersionExpiration", in: rule).first.flatMap { Self.number("NoncurrentDays", $0) }
        uploads = Self.number("DaysAfterInitiation", rule)
    }

    init(id: String, prefix: String) {
        self.id = id
        self.prefix = prefix
    }

    private static func number(_ name: String, _ text: some StringProtocol) -> Int? { XMLText.value(name, in: text).flatMap { Int($0) } }
}

/// The rules of a bucket, of which some are ours. Pure.
struct LifecycleDocument {
    /// What stands within each `<Rule>`, as the server says it.
    private let rules: [String]

    /// - Parameter text: a server's answer; nil: the bucket has no rules.
    init?(_ text: String?) {
        rules = text.map { XMLText.elements("Rule", in: $0).map(String.init) } ?? []
        // A rule that is not understood would be lost when all are written again.
        let openings = text.map { $0.split(separator: "<").count { $0.hasPrefix("Rule>") || $0.hasPrefix("Rule ") } } ?? 0
        guard openings == rules.count else { return nil }
    }

    /// Our rules, by the beginning of their names.
    func own(_ start: String) -> Set<LifecycleRule> { Set(rules.filter { Self.isOwn($0, start) }.compactMap { LifecycleRule(rule: $0) }) }

    /// The whole document with these rules of ours in the place of all that we had; nil when there is nothing to change.
    func with(_ wanted: [LifecycleRule], insteadOf start: String) -> String? {
        let there = rules.filter { Self.isOwn($0, start) }
        if there.count == wanted.count, own(start) == Set(wanted) { return nil }
        let others = rules.filter { !Self.isOwn($0, start) }
        let isOld = others.contains { Self.isOld($0) }
        return "<LifecycleConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
            + others.map { "<Rule>\($0)</Rule>" }.joined() + wanted.map { $0.xml(isOld: isOld) }.joined() + "</LifecycleConfiguration>"
    }

    private static func isOwn(_ rule: String, _ start: String) -> Bool { XMLText.value("ID", in: rule)?.hasPrefix(start) == true }

    private static func isOld(_ rule: String) -> Bool { !rule.contains("<Filter") && rule.contains("<Prefix") }
}
