/// A part of a service that is read in order by itself, such as a partition of a topic: a chain of its own, whose blocks are its offsets.
public struct SourcePart: Hashable, Sendable, CustomStringConvertible {
    /// As it is shown: `orders/3`.
    public let name: String
    /// Its number within the service.
    public let number: Int32
    /// What stores know it by.
    public let chainID: UInt64

    public init(name: String, number: Int32, chainID: UInt64) {
        self.name = name
        self.number = number
        self.chainID = chainID
    }

    public var description: String { name }
}

/// A service whose parts are shared out among the processes that read it.
public protocol SharedSource: Sendable {
    /// The first offset of a part is gone that a store wants next: whether to go on behind what is lost.
    var goesOnBehindLosses: Bool { get }
    /// How long whoever lost its parts may not know of it.
    var graceOfLoss: Duration { get }
    /// How often those who share it are told how far the stores are.
    var tellsEvery: Duration { get }
    /// Takes part in reading it for a pipeline. Connects, so that a wrong address shows at once.
    func join(_ pipeline: String) async throws -> any SourceMembership
    /// Reads one part for a pipeline; connects when it is used.
    func oracle(of part: SourcePart, for pipeline: String, observe: @escaping @Sendable (OracleEvent) -> Void) -> any Oracle
    /// The first offset of a part that is still there.
    func begin(of part: SourcePart) async throws -> UInt64
}

/// What is said to one who takes part.
public enum SourceNews: Sendable {
    case nothing
    /// Parts are its own from now on; to be answered by `take`.
    case assigned([SourcePart])
    /// Parts are to be given back, and are not given to others before `giveBack`. When they are lost, others may have them already.
    case revoked([SourcePart], areLost: Bool)
}

/// One process that takes part in reading a service for a pipeline. Called from one task at a time.
public protocol SourceMembership: Sendable {
    /// What is new; waits for it a moment, and no longer. Not to be called less often than the service asks for.
    func next() async throws -> SourceNews
    func take(_ parts: [SourcePart]) async throws
    func giveBack(_ parts: [SourcePart]) async throws
    /// Tells the others how far the stores have come: the first offset of each part that they lack.
    func tell(_ ends: [SourcePart: UInt64]) async throws
    /// Takes part no more; what was taken is given back.
    func leave() async
}

extension SluiceError.Code {
    /// What a store wants next is not there any more.
    public static let recordsLost = Self("records_lost")
}

/// Numbers and hashes for chains that have none of their own.
public enum MadeChain {
    /// A chain id, always the same for the same words, and none that a real chain has: from 2^62 to 2^63.
    public static func id(_ words: [String]) -> UInt64 {
        var state: UInt64 = 0xCBF2_9CE4_8422_2325
        // Each word with its length before it, so that no two lists of words read alike.
        for word in words {
            for byte in withUnsafeBytes(of: UInt64(word.utf8.count).littleEndian, Array.init) + Array(word.utf8) {
                state = (state ^ UInt64(byte)) &* 0x100_0000_01B3
            }
        }
        return mixed(state) >> 2 | 1 << 62
    }

    /// The hash of a block, always the same: a block's parent is known without having been read.
    public static func hash(_ chainID: UInt64, _ number: Int64) -> Hash32 {
        var words: (UInt64, UInt64, UInt64, UInt64)
        words.0 = mixed(chainID ^ mixed(UInt64(bitPattern: number)))
        words.1 = mixed(words.0 &+ chainID)
        words.2 = mixed(words.1 ^ UInt64(bitPattern: number))
        words.3 = mixed(words.2 &+ 0x9E37_79B9_7F4A_7C15)
        return withUnsafeBytes(of: words) { Hash32($0) } ?? .zero
    }

    private static func mixed(_ value: UInt64) -> UInt64 {
        var z = value &+ 0x9E37_79B9_7F4A_7C15
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
