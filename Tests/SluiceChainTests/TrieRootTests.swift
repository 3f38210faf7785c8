import SluiceChain
import SluiceCore
import Testing

@Suite struct TrieRootTests {
    @Test("the root of nothing is the known one")
    func empty() {
        #expect(TrieRoot.ordered([]).description == "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")
        #expect(TrieRoot.empty == TrieRoot.ordered([]))
    }

    // Values from an independent implementation in Python that inserts one key after the other.
    @Test(
        "lists of short and long values have the roots of an independent implementation",
        arguments: [
            (1, 1, "0xac92bc8d02906a87a573c32c72bb427036f0e43d7a7375c5c491ebba064add15"),
            (1, 200, "0x97e397523307be7cbf2dd125ca32067ab44fb1a0a0cb65d79b5cdfaf9d24f24a"),
            (2, 3, "0xa1211e46db5b4a81e41e26f5b5095fda3397e8b150781f7a138d708749cea504"),
            (3, 40, "0x40ad662fb8fe04134fc5b0dd38e14f7161dd92af1e6e1d05f7627aba8dff6dad"),
            (17, 1, "0x806cb35a344c14d945d661ca5b964f1bdef3de750aaa39505e71bb3811b253a8"),
            (16, 100, "0x91439a9c47faabe5676527c839537ebec14fdd33d021be6769b8ea2747cc1028"),
            (127, 5, "0x3f82196bb26e8cdebc0b4a25f0726b9dcb7d493908e352c6b03ae325788a26e7"),
            (128, 33, "0xbea5437c7681a464d6aab9e581be7e95f6201428cb8f0d240f98bc2b85bd31ff"),
            (129, 2, "0xd974d1d5724ee93f48b160365724670cfbe30e1ea1f53c05d7f04fd84fea38b4"),
            (257, 32, "0x3c03f992d6f2bc71ff3e905e7d8e0ab735c92079d4bf34fcdc24772c3fcc6fa5"),
            (600, 70, "0xd0d45ed20c2de13df99b5aa21a0cfe254e94b6e7b5a80e61a546654510fcee91"),
        ])
    func lists(count: Int, size: Int, root: String) {
        let values = (0..<count).map { index in (0..<size).map { UInt8(truncatingIfNeeded: index * 7 + $0 * 13 + 1) } }
        #expect(TrieRoot.ordered(values).description == root)
    }
}
