import SluiceCore
import Testing

@Suite struct MadeChainTests {
    @Test("chains have numbers that stay, that no real chain has, and that differ where the words do")
    func ids() {
        #expect(MadeChain.id(["orders", "t", "0"]) == MadeChain.id(["orders", "t", "0"]))
        // Written down once: stores know their partitions by it, and must find them again.
        #expect(MadeChain.id(["orders", "t", "0"]) == 6_902_500_918_428_040_161)
        let all =
            (0..<1000).map { MadeChain.id(["orders", "t", "\($0)"]) } + [
                MadeChain.id(["order", "st", "0"]), MadeChain.id(["orders", "t0"]),
            ]
        #expect(Set(all).count == all.count)
        #expect(all.allSatisfy { $0 >= 1 << 62 && $0 <= UInt64(Int64.max) })
    }

    @Test("hashes stay, and differ by chain and number")
    func hashes() {
        #expect(MadeChain.hash(5, 7) == MadeChain.hash(5, 7))
        #expect(MadeChain.hash(5, 7).description == "0x9605e05c9a58bf88641f5b0e795d25178b7b75fc7c90620c1b6c5f07e530a53a")
        let all = (-1..<500).flatMap { number in [1, 2].map { MadeChain.hash($0, Int64(number)) } }
        #expect(Set(all).count == all.count)
    }
}
