import SluiceCore

/// A small text and what command line tools (gzip -9n, zstd -19, and Node's zlib for brotli) made of it.
enum Fixtures {
    /// 40 lines: `{"block":i,"hash":"0x..."}` with the hash i * 7919 in 64 hex digits. 3550 bytes.
    static let text: [UInt8] = (0..<40).flatMap { index in
        let digits = String(index * 7919, radix: 16)
        return Array("{\"block\":\(index),\"hash\":\"0x\(String(repeating: "0", count: 64 - digits.count))\(digits)\"}\n".utf8)
    }

    static let gzip = bytes(
        """
        1f8b0800000000000203add63b6a04311084e1dcc798d8c17475ebb5b79134332cd8e0c08961f1dded0d0caad82550fa47fa0a3db6f1fe31\
        dfb6dbfebaddfbe77dbb6dfbd7fecfb37dbf3cfeba26eada795e6b17a2ae1fc7b9765dd44d731e6b3744dd32c65cbb49d46dbd8fb59b45dd\
        d15a5fbb45d43d6a6d6bb78aba572975ed364dd72ce7422e44e0cc53ca141689b31491282c2267c53d282c32670d700a8bd0d930038545ea\
        ecf8bd1416b17bae25cfb0c81df6e3a01d36113c604e1a6213c9438c414b0c913ce4de698a219287da1a6d3144f2d06ba53186481e6629b4\
        c610c9c39933cd3144f27c4f89f61822798e08da6388e479b8d31e4324cf33407b0c913caf66b4c72e92e7fdf765505824cfc779d11ebb48\
        def397497bec22797ecd497bec22796163f0c758242fbc77da6317c98bd41aedb18be445a995f6d845f2a295427bec227931727eeef10f59\
        3f2f9cde0d0000
        """)

    static let zstd = bytes(
        """
        28b52ffd64de0c650700728e2515a0193a985d48767d52f83fca92dd64178deb7d6a0480c5e04ce756e5f55dd567c624dd86c59d6e6ef03f\
        b02984140d8a53cdf498112d5f552e9a9de65da5228ee1669663d5b7deed72e6a5efce29e27e5cfe6b07844ce90c4a499a2158447e56c576\
        665a7887948846a49944bcaa83e55da2cdece9dd8cefae47fed10a2156835288008b31891982414034610446300a7f30f850044fa811e00d\
        c16bbf03f075d612d841a0492bf8ff9fe1075464a91320576420469224d2484762aac431867e4a741222d5e452f9f924e812244b0b240eb4\
        135dbca6a39f02e4a4995caa128544b06e408d135b05028ca412
        """)

    static let zstdOfUnknownSize = bytes(
        """
        28b52ffd0468650700728e2515a0193a985d48767d52f83fca92dd64178deb7d6a0480c5e04ce756e5f55dd567c624dd86c59d6e6ef03fb0\
        2984140d8a53cdf498112d5f552e9a9de65da5228ee1669663d5b7deed72e6a5efce29e27e5cfe6b07844ce90c4a499a2158447e56c57666\
        5a7887948846a49944bcaa83e55da2cdece9dd8cefae47fed10a2156835288008b31891982414034610446300a7f30f850044fa811e00dc1\
        6bbf03f075d612d841a0492bf8ff9fe1075464a91320576420469224d2484762aac431867e4a741222d5e452f9f924e812244b0b240eb413\
        5dbca6a39f02e4a4995caa128544b06e408d135b05028ca412
        """)

    static let brotli = bytes(
        """
        1bdd0d001d076eac350f0d82d6fb08959e0a7b7d365caafceb8a632c2721244237744062d7006c180ff08012c892fcc9e8ab84cac20774fa\
        82efc3ef73dcedfbf00780f7ede913a17b9fcf4476af2fc4ce595f49cc1cdf48758fef64aada0fb299e5277911e9d70022f7f80341c5cc7d\
        a2a66a3ed310515f68318baf7488d837ba00f94eef7df0630463f7f949f99ceb17d1995dcfa0de7d7ca259353ed3ce6c5fe889285fe9754f\
        df4608ccc277caaaee075511f3933ab3fa459248d60b6803ec139dfbc867ba7be10b7de73c5f4728cd5cdfa874afefd4aa8e1f3432c74f5a\
        11ed1777dc2f06
        """)

    private static func bytes(_ hex: String) -> [UInt8] { Hex.bytes("0x" + hex) ?? [] }
}

/// A copy of what a buffer holds.
func contents(_ buffer: Buffer) -> [UInt8] { withExtendedLifetime(buffer) { Array(buffer.bytes) } }
