import Glibc
public import SluiceCore

/// An upstream that speaks Ethereum JSON-RPC over HTTP/1.1 on loopback: recorded blocks or a generated chain, with faults on demand.
///
///     let simulator = try Simulator(SimulatorOptions(.generated(GeneratorOptions(seed: 7))))
///     let port = try await simulator.start()
///     // ... http://127.0.0.1:port ...
///     await simulator.stop()
public final class Simulator: Sendable {
    private let options: SimulatorOptions
    private let box: CoreBox
    private let server: HTTPServer
    private let time: TimeSource

    /// Loads what is replayed, or makes the chain's first blocks. Throws `data` errors (file and line) and `config` errors.
    public init(_ options: SimulatorOptions, time: TimeSource = .live) throws {
        self.options = options
        self.time = time
        let box = try CoreBox(options, time: time)
        self.box = box
        server = HTTPServer(time: time) { body in box.withLock { $0.answer(body, now: time.now()) } }
    }

    /// Starts to listen; returns the port. Throws a `retry` error when the port is taken.
    public func start() async throws -> UInt16 { try server.start(host: options.host, port: options.port) }

    /// Closes all connections and ends the thread. Once stopped it cannot be started again.
    public func stop() async { await server.stop() }

    /// What happened so far.
    public var statistics: SimulatorStatistics {
        var statistics = box.withLock { $0.statistics }
        statistics.bytesSent = server.bytesSent
        statistics.connections = server.connections
        return statistics
    }
}

extension Simulator {
    /// The number of the newest block, now.
    public var head: UInt64 { onChain { $0.head } }

    /// The number of the block that is called final, now.
    public var finalized: UInt64 { onChain { $0.finalized } }

    /// Steps that the generated chain has grown since its first start, now; what ``GeneratorOptions/resume`` takes.
    public var steps: Int { onChain { $0.steps } }

    /// Lets the generated chain grow by so many blocks; with a rhythm of reorganisations these come too. Throws `config` on a replay.
    public func advance(_ count: Int = 1) throws { try onChain { try $0.advance(count) } }

    /// Takes `depth` blocks off the generated chain and puts `length` others in their place. Throws `config` when that is
    /// not possible: on a replay, or deeper than the chain.
    public func reorganise(depth: Int, length: Int) throws { try onChain { try $0.reorganise(depth: depth, length: length) } }

    /// The canonical block of a number as it stands now; nil when there is none.
    public func canonical(_ number: UInt64) throws -> CanonicalBlock? {
        try onChain { chain in
            guard let key = chain.key(of: number), let block = try chain.text(.block, of: key) else { return nil }
            let receipts = try chain.text(.receipts, of: key)
            return CanonicalBlock(
                ref: BlockRef(number: number, hash: try chain.hash(of: key)), block: Array(block.bytes),
                receipts: receipts.map { Array($0.bytes) })
        }
    }

    /// What an address has after a block, in wei; nil when the block is not known, or no state is. On a generated chain that is what it
    /// had before the first block, and what all blocks up to this one moved: values, fees, tips to the miner, withdrawals.
    public func balance(of address: [UInt8], at block: Hash32) throws -> UInt256? {
        try onChain { chain in try chain.key(of: block).flatMap { try chain.balance(of: address, at: $0) } }
    }

    /// Writes canonical blocks as JSON lines, as a replay reads them; numbers without a block are left out. Throws `config` when the
    /// file cannot be written.
    public func writeRecorded(_ range: ClosedRange<UInt64>, to path: String) throws {
        guard let file = fopen(path, "w") else { throw Self.unwritable(path) }
        var isWhole = true
        do {
            for number in range {
                guard let block = try canonical(number) else { continue }
                var line = Array("{\"number\":\(number),\"hash\":\"\(block.ref.hash)\",\"block\":".utf8) + block.block
                if let receipts = block.receipts { line += Array(",\"receipts\":".utf8) + receipts }
                line += Array("}\n".utf8)
                isWhole = isWhole && fwrite(line, 1, line.count, file) == line.count
            }
        } catch {
            fclose(file)
            throw error
        }
        guard fclose(file) == 0, isWhole else { throw Self.unwritable(path) }
    }

    private static func unwritable(_ path: String) -> SluiceError {
        SluiceError(
            .simulatorCommand, .config, "writing the chain to \(path) failed: \(String(cString: strerror(errno)))",
            mend: "check the folder and the space on the disk")
    }

    private func onChain<R: Sendable>(_ body: (any SimulatedChain) throws -> R) rethrows -> R {
        let now = time.now()
        return try box.withLock { core in
            core.chain.catchUp(to: now)
            return try body(core.chain)
        }
    }
}

/// A canonical block and its receipts, as JSON text.
public struct CanonicalBlock: Sendable {
    public let ref: BlockRef
    public let block: [UInt8]
    /// Nil when a recording has none.
    public let receipts: [UInt8]?

    /// Both as a set for ``Mutations``.
    public var set: BlockSet { BlockSet(block: block, receipts: receipts ?? Array("[]".utf8)) }
}

/// The core behind its lock, so that handler and simulator can share it.
private final class CoreBox: @unchecked Sendable {
    // SAFETY: `core` is used inside `withLock` alone. What leaves are values and texts whose bytes do not change while they are held.
    private let core: SimulatorCore
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

    init(_ options: SimulatorOptions, time: TimeSource) throws {
        core = try SimulatorCore(options, time: time)
        pthread_mutex_init(lock, nil)
    }

    deinit {
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    func withLock<R>(_ body: (SimulatorCore) throws -> R) rethrows -> R {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return try body(core)
    }
}
