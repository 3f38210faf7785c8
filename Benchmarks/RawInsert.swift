import Glibc
import SluiceCore
import SluiceDuckDB

func cpu() -> Double {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6
}
func peak() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss / 1024
}

func rawInsert(_ path: String, blocks: UInt64, commit: UInt64, stage: UInt64, memory: String, group: Int, extra: String) throws {
    unlink(path); unlink(path + ".wal")
    var chain = SyntheticChain()
    let start = cpu()
    for first in stride(from: 0, to: 200, by: 10) as StrideTo<UInt64> { _ = chain.batch(first: first, count: 10) }
    let generator = (cpu() - start) / 200 * 1000
    print("generator \(generator) s/1000; rss \(peak())")
    let database = try DuckDBDatabase(path: nil, settings: ["memory_limit": memory])
    let session = try database.connect()
    try session.execute("ATTACH '\(path)' AS w (ROW_GROUP_SIZE \(group)); USE w; \(extra)")
    let plain = Set((getenv("PLAIN").map { String(cString: $0) } ?? "").split(separator: ",").map(String.init))
    for schema in SyntheticChain.schemas {
        let cols = ScanColumn.native(schema).map { column in DuckDBSession.quoted(column.name) + " " + column.sqlType + (plain.contains(schema.name + "." + column.name) ? " USING COMPRESSION uncompressed" : "") }.joined(separator: ", ")
        try session.execute("CREATE TABLE \(schema.name) (\(cols))")
    }
    let before = cpu()
    var held: [Batch] = []
    var open = false
    for first in stride(from: 0, to: blocks, by: 10) as StrideTo<UInt64> {
        held.append(chain.batch(first: first, count: 10))
        let done = first + 10
        if done % stage == 0 || done == blocks {
            if !open { try session.execute("BEGIN"); open = true }
            for schema in SyntheticChain.schemas {
                try session.insert(held.compactMap { $0.table(schema.name) }.map { TableSlice($0) }, into: DuckDBSession.quoted(schema.name))
            }
            held = []
        }
        if done % commit == 0 || done == blocks { try session.execute("COMMIT"); open = false }
    }
    let inserted = cpu()
    try session.execute("CHECKPOINT")
    let end = cpu()
    var info = stat()
    stat(path, &info)
    print("commit \(commit) stage \(stage) mem \(memory) group \(group) [\(extra)]: insert \((inserted - before) * 1000 / Double(blocks) - generator) checkpoint \((end - inserted) * 1000 / Double(blocks)) CPU-s/1000; rss \(peak()) MB; file \(info.st_size / 1_000_000) MB")
}
