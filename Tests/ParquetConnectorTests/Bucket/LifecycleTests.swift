import Testing

@testable import ParquetConnector

/// What rules of a bucket say, and what becomes of those of others.
@Suite struct LifecycleTests {
    private let all = BucketSettings(
        warm: .init(days: 30, storageClass: "STANDARD_IA"), cold: .init(days: 365, storageClass: "GLACIER"), oldVersionDays: 9,
        unfinishedDays: 7)

    private static let foreign = """
        <?xml version="1.0" encoding="UTF-8"?>
        <LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule><ID>theirs &amp; more</ID>
        <Filter><And><Prefix>x/</Prefix><Tag><Key>a</Key><Value>b</Value></Tag></And></Filter><Status>Disabled</Status>
        <Expiration><Date>2031-01-01T00:00:00Z</Date></Expiration></Rule><Rule><ID>sluice-of-somebody</ID><Filter><Prefix/></Filter>
        <Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>
        """

    @Test("files of tables grow cold and old, manifests do not; each rule is of one chain")
    func rules() {
        let rules = all.rules("a/<b>&", chainID: 7, tables: ["logs", "blocks"], retention: 1000)
        #expect(
            rules.map(\.prefix) == [
                "a/<b>&/blocks/chain_id=7/", "a/<b>&/logs/chain_id=7/", "a/<b>&/_manifests/7/", "a/<b>&/_temporary/7/",
            ])
        #expect(rules.map(\.expiration) == [1001, 1001, nil, nil])
        #expect(rules.map { $0.transitions.map(\.days) } == [[30, 365], [30, 365], [], []])
        #expect(rules.allSatisfy { $0.noncurrent == 9 && $0.uploads == 7 })
        #expect(Set(rules.map(\.id)).count == 4 && rules.allSatisfy { $0.id.hasPrefix(BucketSettings.start("a/<b>&", chainID: 7)) })
        #expect(BucketSettings.start("a", chainID: 7) != BucketSettings.start("b", chainID: 7))
        #expect(!BucketSettings.start("a", chainID: 71).hasPrefix(BucketSettings.start("a", chainID: 7)))
        // Nothing that was not asked for.
        #expect(BucketSettings(versioning: true).rules("a", chainID: 7, tables: ["logs"], retention: nil).isEmpty)
        #expect(BucketSettings().rules("", chainID: 7, tables: ["logs"], retention: 9).map(\.prefix) == ["logs/chain_id=7/"])
    }

    @Test("a rule is read back as it was written, whatever its prefix", arguments: [false, true])
    func roundTrip(isOld: Bool) throws {
        for rule in all.rules("q'\"&amp;<x>]]>ü", chainID: 1, tables: ["t"], retention: 900) {
            let text = rule.xml(isOld: isOld)
            let inner = try #require(XMLText.elements("Rule", in: text).first)
            #expect(LifecycleRule(rule: inner) == rule)
            #expect(text.contains("<Filter>") == !isOld)
        }
        var expiring = LifecycleRule(id: "a", prefix: "b")
        (expiring.expiration, expiring.noncurrent) = (5, 6)
        #expect(!expiring.xml().contains("DeleteMarker"))
    }

    @Test("rules of others stay to the letter; ours are put in the place of ours, and once")
    func merging() throws {
        let (start, rules) = ("sluice-ab-1-", all.rules("p", chainID: 1, tables: ["t"], retention: nil))
        let own = rules.map { rule in
            var named = rule
            named = LifecycleRule(id: start + rule.id, prefix: rule.prefix)
            (named.transitions, named.noncurrent, named.uploads) = (rule.transitions, rule.noncurrent, rule.uploads)
            return named
        }
        let before = try #require(LifecycleDocument(Self.foreign))
        let text = try #require(before.with(own, insteadOf: start))
        for theirs in XMLText.elements("Rule", in: Self.foreign) { #expect(text.contains("<Rule>\(theirs)</Rule>")) }
        let after = try #require(LifecycleDocument(text))
        #expect(after.own(start) == Set(own))
        #expect(after.with(own, insteadOf: start) == nil)
        // In any order, one less, one more, one other.
        #expect(after.with(own.reversed(), insteadOf: start) == nil)
        let fewer = try #require(after.with(Array(own.dropLast()), insteadOf: start).flatMap { LifecycleDocument($0) })
        #expect(fewer.own(start).count == own.count - 1 && fewer.own("theirs").isEmpty && fewer.own("sluice-of").count == 1)
        var other = own
        other[0].noncurrent = 10
        #expect(after.with(other, insteadOf: start) != nil)
        // A bucket without rules, and one whose rules have the old form.
        let none = try #require(LifecycleDocument(nil))
        #expect(none.with([], insteadOf: start) == nil)
        #expect(none.with(own, insteadOf: start)?.contains("<Filter>") == true)
        let old = try #require(
            LifecycleDocument(
                "<LifecycleConfiguration><Rule><ID>o</ID><Prefix>x</Prefix><Status>Enabled</Status></Rule></LifecycleConfiguration>"))
        #expect(old.with(own, insteadOf: start)?.contains("<Filter>") == false)
    }

    @Test("rules that cannot be read are not written again")
    func strange() {
        for text in ["<A><Rule><ID>x</ID></A>", "<A><Rule kind=\"x\"><ID>x</ID></Rule></A>", "<A><Rule><ID>a</ID></Rule><Rule>"] {
            #expect(LifecycleDocument(text) == nil, "\(text)")
        }
        #expect(LifecycleDocument("<LifecycleConfiguration><RuleSet/></LifecycleConfiguration>") != nil)
    }

    @Test("what cannot follow one another is said")
    func contradictions() {
        #expect(all.contradiction(retention: nil) == nil && all.contradiction(retention: 366) == nil)
        #expect(all.contradiction(retention: 365) == "cold_after (365d) must come before retention (365d)")
        let wrong = BucketSettings(warm: .init(days: 30, storageClass: "A"), cold: .init(days: 30, storageClass: "B"))
        #expect(wrong.contradiction(retention: nil) == "warm_after (30d) must come before cold_after (30d)")
        #expect(BucketSettings(warm: .init(days: 30, storageClass: "A")).contradiction(retention: 7)?.contains("retention (7d)") == true)
    }
}
