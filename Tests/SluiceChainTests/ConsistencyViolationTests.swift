import SluiceChain
import Testing

@Suite struct ConsistencyViolationTests {
    @Test("a violation reads as one line")
    func short() {
        let violation = ConsistencyViolation(field: "gas_used", expected: "21000", found: "21001", place: "block 9, receipt 0")
        #expect(violation.description == "block 9, receipt 0: gas_used is 21001, expected 21000")
    }

    @Test("long values are shortened around the first difference, and kept whole")
    func long() {
        let zeros = String(repeating: "0", count: 300)
        let violation = ConsistencyViolation(
            field: "logs_bloom", expected: zeros + "1" + zeros, found: zeros + "2" + zeros, place: "block 9")
        #expect(violation.description.utf8.count < 300)
        #expect(violation.description.contains("000000002000"))
        #expect(violation.description.contains("000000001000"))
        #expect(violation.description.contains("from character 292"))
        #expect(violation.expected.utf8.count == 601)
    }
}
