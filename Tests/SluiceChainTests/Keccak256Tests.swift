import SluiceChain
import SluiceCore
import Testing

@Suite struct Keccak256Tests {
    /// A message of `count` bytes; the reference values were computed over the same.
    private func message(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: count * 31 + $0 * 7) } }

    @Test(
        "known texts have their published hashes",
        arguments: [
            ("", "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
            ("abc", "0x4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
            ("Transfer(address,address,uint256)", "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"),
        ])
    func knownTexts(text: String, hash: String) {
        #expect(Keccak256.hash(text).description == hash)
        #expect(text.utf8.withContiguousStorageIfAvailable { Keccak256.hash(UnsafeRawBufferPointer($0)) }?.description == hash)
    }

    // The constants come from an independent implementation in Python, itself checked against hashlib's SHA3-256 (which
    // differs by the padding byte alone).
    @Test("every length from 0 to 300 agrees with an independent implementation")
    func lengths() {
        let digests = (0...300).flatMap { Keccak256.hash(message($0)).bytes }
        #expect(Keccak256.hash(digests).description == "0x64b30656e9a3ad5e29163f95d4b55f85757874775f43db7b890aaabdcfa4b889")
    }

    @Test("every width hashes short inputs of all lengths alike", arguments: [1, 4, 8])
    func widths(lanes: Int) throws {
        guard lanes <= Keccak256.lanes else {
            print("skipped: this processor does not hash \(lanes) inputs at a time")
            return
        }
        let digests = try #require(Keccak256.hashes(ofShort: (0...135).map(message), lanes: lanes))
        let all = Keccak256.hash(digests.flatMap(\.bytes))
        #expect(all.description == "0xd274eceb656ce44eb964aa81976977f927327b6d5204a0ed4181995e96e9c406")
        // Counts that do not fill the last group of lanes.
        for count in 0...17 {
            let inputs = (0..<count).map { message($0 % 2 == 0 ? 20 : 32) }
            #expect(Keccak256.hashes(ofShort: inputs, lanes: lanes) == inputs.map { Keccak256.hash($0) })
        }
    }

    @Test("an input longer than one block is refused by the short form")
    func tooLong() {
        #expect(Keccak256.hashes(ofShort: [message(135)])?.first == Keccak256.hash(message(135)))
        #expect(Keccak256.hashes(ofShort: [message(3), message(136)]) == nil)
        #expect(Keccak256.hashes(ofShort: [message(3)], lanes: 3) == nil)
    }
}
