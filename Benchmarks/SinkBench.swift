import DuckDBConnector
import Glibc
import ParquetConnector
import SluiceCore
import Synchronization

/// CPU and memory of a sink, for blocks shaped like the main network's. The generator's own CPU is measured before and taken off.
enum SinkBench {
    final class Segments: SegmentStore {
        private let all = Mutex<[StreamID: [Segment]]>([:])
        func load(_ stream: StreamID) -> [Segment] { all.withLock { $0[stream] ?? [] } }
        func save(_ segments: [Segment], of stream: StreamID) { all.withLock { $0[stream] = segments } }
    }

    static func run(_ name: String, _ sink: any Sink, blocks: UInt64, batchBlocks: UInt64 = 10) async throws {
        var chain = SyntheticChain()
        let idle = usage()
        var first: UInt64 = 1
        while first <= 200 {
            _ = chain.batch(first: first, count: batchBlocks)
            first += batchBlocks
        }
        let generator = (usage().cpu - idle.cpu) / 200
        chain = SyntheticChain()
        let start = usage()
        let stream = try await sink.open(StreamID(pipeline: "bench", chainID: 1), tables: SyntheticChain.schemas)
        first = 1
        while first <= blocks {
            _ = try await stream.write(chain.batch(first: first, count: batchBlocks))
            first += batchBlocks
        }
        _ = try await stream.finish()
        await sink.close()
        let end = usage()
        let seconds = (end.cpu - start.cpu) * 1_000 / Double(blocks) - generator * 1_000
        print("\(name): \((seconds * 1_000).rounded() / 1_000) CPU-s per 1,000 blocks, peak RSS \(end.peak) MB (\(start.peak) MB before)")
    }

    /// CPU seconds so far, and the most memory so far in MB.
    private static func usage() -> (cpu: Double, peak: Int) {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        let micros = Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
        return (Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + micros * 1e-6, usage.ru_maxrss / 1_024)
    }
}
