import SluiceCore
import SluiceFlow
import Testing

/// A made-up block of one of several chains.
struct StreamBlock: Hashable, Sendable, CustomStringConvertible {
    let stream: Int
    let number: UInt64
    var branch: UInt64 = 0
    var timestamp: UInt64 = 0

    /// Stream and number, and a prime for every branch: `b7'`.
    var description: String {
        "\(Character(UnicodeScalar(UInt8(97 + stream))))\(number)" + String(repeating: "'", count: Int(min(branch, 5)))
    }

    var hash: Hash32 {
        let words = [UInt64(stream) + 1, number, branch, timestamp].flatMap { word in withUnsafeBytes(of: word.bigEndian) { Array($0) } }
        return Hash32(words) ?? .zero
    }
    var ref: BlockRef { BlockRef(number: number, hash: hash) }
}

/// A batch of blocks that follow each other; without a parent the first one's is its predecessor on the first branch.
func batch(_ blocks: [StreamBlock], parent: StreamBlock? = nil) -> Batch {
    let first = blocks[0]
    let before = parent ?? StreamBlock(stream: first.stream, number: first.number &- 1, timestamp: first.timestamp)
    return Batch(
        chainID: UInt64(first.stream + 1),
        span: Span(
            first: first.number, parentHash: before.hash, blocks: blocks.map { BlockStamp(hash: $0.hash, timestamp: $0.timestamp) }),
        tables: [])
}

/// Does what a synchronizer says, and holds it to what it may say.
struct Following {
    var synchronizer: Synchronizer
    /// The bundles that stand.
    var bundles: [Bundle] = []
    var records: [BundleRecord] = []
    var finalized: UInt64 = 0
    var failure: SluiceError?
    var now = MonotonicTime.zero
    /// The last block of each stream.
    private var tips: [StreamBlock?]

    init(_ policy: SynchronizationPolicy, streams: Int) throws {
        synchronizer = try Synchronizer(policy: policy, streams: streams)
        tips = [StreamBlock?](repeating: nil, count: streams)
    }

    /// The bundles that stand, as text: `a3 b5,b6`, with a question mark behind a partial one.
    var lines: [String] { bundles.map(Self.line) }

    static func line(_ bundle: Bundle) -> String {
        let parts = bundle.inputs.map { input in
            input.isEmpty ? "-" : input.flatMap { Self.blocks($0) }.map(\.description).joined(separator: ",")
        }
        return parts.joined(separator: " ") + (bundle.isPartial ? " ?" : "")
    }

    static func blocks(_ batch: Batch) -> [StreamBlock] {
        batch.span.blocks.map { stamp in
            let words = stamp.hash.withBytes { bytes in
                (0..<4).map { UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self)) }
            }
            return StreamBlock(stream: Int(words[0]) - 1, number: words[1], branch: words[2], timestamp: words[3])
        }
    }

    mutating func on(_ event: Synchronizer.Event) {
        for action in synchronizer.on(event, now: now) {
            switch action {
            case .emit(let bundle, let record):
                #expect(bundle.number == UInt64(bundles.count + 1))
                #expect(bundle.parentHash == bundles.last?.hash ?? .zero)
                #expect(bundle.inputs.contains { !$0.isEmpty })
                #expect(bundle.inputs.allSatisfy { $0.allSatisfy { $0.span.count == 1 } })
                #expect(bundle.timestamp == bundle.inputs.flatMap { $0 }.map(\.span.lastTimestamp).max())
                #expect(record.ref == bundle.ref)
                bundles.append(bundle)
                records.append(record)
            case .rollback(let ref):
                #expect(ref.number < bundles.count, "a rollback that undoes nothing")
                #expect(ref.number >= finalized, "a bundle is undone that was final")
                bundles.removeLast(bundles.count - Int(ref.number))
                records.removeLast(records.count - Int(ref.number))
                #expect(ref.hash == bundles.last?.hash ?? .zero)
            case .finalized(let number):
                #expect(number > finalized && number <= bundles.count)
                finalized = number
            case .fail(let error): failure = error
            }
        }
    }

    /// Sends the next blocks of a stream, one batch for all.
    mutating func send(_ blocks: [StreamBlock]) {
        let stream = blocks[0].stream
        on(.batch(stream: stream, batch(blocks, parent: tips[stream])))
        tips[stream] = blocks.last
    }

    /// Sends blocks by their names, each by itself: `a1 b1 b2`. A time may follow: `a1@100`.
    mutating func send(_ names: String) {
        for name in names.split(separator: " ") {
            let parts = name.split(separator: "@")
            let branch = parts[0].filter { $0 == "'" }.count
            let stream = Int(parts[0].utf8.first ?? 97) - 97
            let number = UInt64(parts[0].dropFirst().filter { $0 != "'" }) ?? 0
            send([
                StreamBlock(
                    stream: stream, number: number, branch: UInt64(branch), timestamp: parts.count > 1 ? UInt64(parts[1]) ?? 0 : number * 10
                )
            ])
        }
    }

    mutating func rollback(to block: StreamBlock) {
        on(.rollback(stream: block.stream, to: block.ref))
        tips[block.stream] = block
    }

    mutating func finalize(_ stream: Int, _ number: UInt64) { on(.finalized(stream: stream, number)) }

    /// Lets time pass, and tells of it.
    mutating func wait(_ duration: Duration) {
        now = now + duration
        on(.tick)
    }

    /// Goes on in another process with what a store holds: the bundles up to a number.
    mutating func restart(holding count: Int) throws {
        bundles.removeLast(bundles.count - count)
        records.removeLast(records.count - count)
        let ground = min(Int(finalized), count)
        synchronizer = try Synchronizer(
            policy: synchronizer.policy, streams: tips.count, resuming: Array(records[max(0, ground - 1)...]))
        // The first bundle of all may be undone for all that its record says, and is told to be final once more.
        finalized = ground > 1 ? UInt64(ground) : 0
        for stream in tips.indices {
            tips[stream] = synchronizer.readFrom[stream].map { from in
                let words = from.hash.withBytes { bytes in
                    (0..<4).map { UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self)) }
                }
                return StreamBlock(stream: stream, number: from.number, branch: words[2], timestamp: words[3])
            }
        }
    }
}
