import Glibc

@main struct Bench {
    static func main() throws {
        let a = CommandLine.arguments
        try rawInsert("/tmp/duckbench.db", blocks: 1000, commit: UInt64(a[1])!, stage: UInt64(a[2])!, memory: a[3], group: Int(a[4])!, extra: a.count > 5 ? a[5] : "")
    }
}
