import EthereumConnector
import SluiceCore
#if canImport(Glibc)
import Glibc
#endif

@main struct Bench {
    static func main() throws {
        let args = CommandLine.arguments
        var bodies: [(UInt64, Buffer)] = []
        for path in args.dropFirst(2) {
            guard let f = fopen(path, "r") else { continue }
            fseek(f, 0, SEEK_END); let n = ftell(f); rewind(f)
            let b = Buffer(count: n, padding: 64) { _ = fread($0.baseAddress, 1, n, f) }
            fclose(f)
            let name = path.split(separator: "/").last!.split(separator: ".").first!
            bodies.append((UInt64(name)!, b))
        }
        let plan = FetchPlan(needs: [Need("blocks"), Need("transactions"), Need("logs")])
        for verify in [false, true] {
        let decoder = BlockDecoder(chainID: 1, plan: plan, verifiesHeaderHash: verify)
        let rounds = Int(args[1])!
        var bytes = 0, rows = 0
        let start = clock()
        for _ in 0..<rounds { for (n, b) in bodies { let d = try decoder.decodeBlock(b, number: n); bytes += b.count; rows += d.tables.reduce(0) { $0 + $1.rowCount } } }
        let s = Double(clock() - start) / 1e6
        print("verify", verify, "MB/s", Double(bytes) / 1e6 / s, "CPU-s/1k blocks", s / Double(rounds * bodies.count) * 1000, "avg KB", bytes / rounds / bodies.count / 1000, "rows", rows / rounds)
        }
    }
}
