import SluiceCore

/// What to replay, and as what.
public struct ReplayOptions: Sendable {
    /// Files of JSON lines `{number, hash, block, receipts}`, plain or `.zst`, in order.
    public var files: [String]
    /// Only the recorded blocks of these numbers; nil takes all.
    public var only: Set<UInt64>?
    /// How many times the recorded blocks are gone through; needs `renumber`.
    public var repeats = 1
    /// Total number of blocks; overrides `repeats`. Needs `renumber`.
    public var count: Int?
    /// Numbers the blocks one behind the other and links them: number, parentHash, timestamp and hash are made anew, and so is every
    /// mention of them in transactions, receipts and logs. All else stays byte for byte. Without it blocks are served as recorded.
    public var renumber = true
    /// The first number; nil chooses one after which the width in hex stays constant.
    public var start: UInt64?
    /// Seconds since 1970 of the first block, and from block to block.
    public var baseTimestamp: UInt64 = 1_700_000_000
    public var blockSeconds: UInt64 = 12
    public var chainID: UInt64 = 1
    /// How far `safe` and `finalized` lie behind the head.
    public var safeDepth: UInt64 = 0
    public var finalizedDepth: UInt64 = 0

    public init(files: [String]) { self.files = files }
}

/// Recorded blocks, served as they are or re-numbered into one linked chain.
final class ReplayChain: SimulatedChain {
    /// `0x` and eight digits: every second from 1978 to 2106.
    static let timestampDigits = 10
    static let defaultStart: UInt64 = 0x100_0000

    let chainID: UInt64
    let first: UInt64
    let head: UInt64
    private let options: ReplayOptions
    private let templates: [BlockTemplate]
    /// As recorded: number to template. Empty when re-numbered.
    private let recorded: [UInt64: Int]
    /// Re-numbered: hashes of the blocks from `first` on, as far as they were needed.
    private var hashes: [Hash32] = []
    private var transactions: [String: (template: Int, index: Int)]?

    /// Reads the files. Throws `data` errors that name file and line, `config` errors when the options contradict each other.
    init(_ options: ReplayOptions) throws {
        self.options = options
        chainID = options.chainID
        let templates = try options.files.flatMap { try Self.load($0, options) }
        self.templates = templates
        guard !templates.isEmpty else {
            throw SluiceError(
                .recordedFile, .data, "no block to replay in \(options.files.joined(separator: ", "))",
                mend: options.only == nil ? "give a file with recorded blocks" : "check the selected block numbers")
        }
        if options.renumber {
            let count = options.count ?? templates.count * options.repeats
            let start = options.start ?? Self.defaultStart
            let last = start.addingReportingOverflow(UInt64(max(1, count) - 1))
            let lastTime = options.baseTimestamp.addingReportingOverflow(options.blockSeconds &* UInt64(max(1, count)))
            guard count > 0, !last.overflow, options.baseTimestamp >= 0x1000_0000, lastTime.partialValue <= 0xFFFF_FFFF else {
                throw SluiceError(
                    .recordedFile, .config,
                    "replaying \(count) blocks from number \(start), time \(options.baseTimestamp) does not work out",
                    mend: "choose a count above 0 and times that fit eight hex digits")
            }
            first = start
            head = last.partialValue
            recorded = [:]
        } else {
            guard options.count == nil, options.repeats == 1, options.start == nil else {
                throw SluiceError(
                    .recordedFile, .config, "a repeat, a count or a start number needs re-numbering", mend: "switch renumbering on")
            }
            recorded = Dictionary(templates.indices.map { (templates[$0].recordedNumber, $0) }, uniquingKeysWith: { first, _ in first })
            first = templates.map(\.recordedNumber).min() ?? 0
            head = templates.map(\.recordedNumber).max() ?? 0
        }
    }

    var safe: UInt64 { max(first, head - min(head, options.safeDepth)) }
    var finalized: UInt64 { max(first, head - min(head, options.finalizedDepth)) }

    func catchUp(to now: MonotonicTime) {}

    func key(of number: UInt64) -> BlockKey? {
        let isThere = options.renumber ? (first...head).contains(number) : recorded[number] != nil
        return isThere ? BlockKey(number: number, fork: 0) : nil
    }

    func key(of hash: Hash32) -> BlockKey? {
        if !options.renumber {
            return templates.first { $0.recordedHash == hash }.map { BlockKey(number: $0.recordedNumber, fork: 0) }
        }
        ensureHashes(upTo: head)
        return hashes.firstIndex(of: hash).map { BlockKey(number: first + UInt64($0), fork: 0) }
    }

    func hash(of key: BlockKey) throws -> Hash32 { values(key).hash }

    func text(_ part: BlockPart, of key: BlockKey) throws -> SharedText? {
        let template = templates[template(key.number)]
        template.lastServed = key.number
        switch part {
        case .block: return template.block.text(values(key))
        case .hashes: return template.hashes.text(values(key))
        case .receipts: return template.receipts?.text(values(key))
        }
    }

    func index(of key: BlockKey) throws -> ReceiptIndex? { try templates[template(key.number)].index(values(key)) }

    /// The same recorded transaction is in many re-numbered blocks: the one asked for last is meant.
    func place(ofTransaction hash: String) throws -> (key: BlockKey, index: Int)? {
        if transactions == nil { transactions = try allTransactions() }
        guard let found = transactions?[hash] else { return nil }
        let number =
            options.renumber
            ? templates[found.template].lastServed ?? first + UInt64(found.template) : templates[found.template].recordedNumber
        return key(of: number).map { ($0, found.index) }
    }

    func advance(_ count: Int) throws { throw Self.fixed }
    func reorganise(depth: Int, length: Int) throws { throw Self.fixed }

    private static let fixed = SluiceError(
        .recordedFile, .config, "a replayed chain neither grows nor reorganises", mend: "use a generated chain")

    private func allTransactions() throws -> [String: (template: Int, index: Int)] {
        var out: [String: (template: Int, index: Int)] = [:]
        for (place, template) in templates.enumerated() {
            let number = options.renumber ? first + UInt64(place) : template.recordedNumber
            guard let key = key(of: number), let index = try index(of: key) else { continue }
            for (at, hash) in index.transactions.enumerated() { out[hash] = (place, at) }
        }
        return out
    }

    private func template(_ number: UInt64) -> Int {
        options.renumber ? Int((number - first) % UInt64(templates.count)) : recorded[number] ?? 0
    }

    private func values(_ key: BlockKey) -> BlockTemplate.Values {
        let place = Int(key.number - first)
        guard options.renumber else {
            let template = templates[template(key.number)]
            return BlockTemplate.Values(
                number: key.number, hash: template.recordedHash, parentHash: template.recordedParent, timestamp: 0)
        }
        ensureHashes(upTo: key.number)
        return BlockTemplate.Values(
            number: key.number, hash: hashes[place], parentHash: place == 0 ? templates[0].recordedParent : hashes[place - 1],
            timestamp: timestamp(place))
    }

    private func timestamp(_ place: Int) -> UInt64 { options.baseTimestamp + options.blockSeconds * UInt64(place) }

    private func ensureHashes(upTo number: UInt64) {
        while UInt64(hashes.count) <= number - first {
            let place = hashes.count
            let parent = hashes.last ?? templates[0].recordedParent
            guard let seal = templates[place % templates.count].seal else { return }
            hashes.append(seal.hash(number: first + UInt64(place), parent: parent, timestamp: timestamp(place)))
        }
    }

    private static func load(_ path: String, _ options: ReplayOptions) throws -> [BlockTemplate] {
        var out: [BlockTemplate] = []
        try RecordedFile(path: path).forEachLine { line, bytes in
            func refuse(_ problem: String) -> SluiceError {
                SluiceError(
                    .recordedFile, .data, "\(path):\(line): \(problem)",
                    mend: "each line must be an object with number, hash, block and, where recorded, receipts")
            }
            do {
                if let template = try template(bytes, options) { out.append(template) }
            } catch let fault as JSONScanner.Fault {
                throw refuse("byte \(fault.offset): expected \(fault.expected)")
            } catch let fault as HeaderSeal.FieldFault {
                throw refuse("\(fault.name) \(fault.problem)")
            }
        }
        return out
    }

    /// The template of one line; nil when it is not selected.
    private static func template(_ bytes: UnsafeBufferPointer<UInt8>, _ options: ReplayOptions) throws -> BlockTemplate? {
        let scanner = JSONScanner(bytes)
        var number: UInt64?
        var hash: String?
        var block: Range<Int>?
        var receipts: Range<Int>?
        for member in try scanner.members(try scanner.document()) {
            if scanner.equals(member.key, "number") { number = UInt64(scanner.text(member.value)) }
            if scanner.equals(member.key, "hash") { hash = scanner.string(member.value) }
            if scanner.equals(member.key, "block"), scanner.isObject(member.value) { block = member.value }
            if scanner.equals(member.key, "receipts"), scanner.isArray(member.value) { receipts = member.value }
        }
        guard let number else { throw HeaderSeal.FieldFault(name: "number", problem: "is missing or no number") }
        if let only = options.only, !only.contains(number) { return nil }
        guard let block else { throw HeaderSeal.FieldFault(name: "block", problem: "is missing or no object") }
        guard let hash else { throw HeaderSeal.FieldFault(name: "hash", problem: "is missing or no string") }
        let template = try BlockTemplate(
            block: UnsafeBufferPointer(rebasing: bytes[block]),
            receipts: receipts.map { UnsafeBufferPointer(rebasing: bytes[$0]) }, renumber: options.renumber)
        guard template.recordedNumber == number else {
            throw HeaderSeal.FieldFault(name: "number", problem: "differs from block.number")
        }
        guard template.recordedHash == Hash32(hex: hash) else {
            throw HeaderSeal.FieldFault(name: "hash", problem: "differs from block.hash")
        }
        return template
    }
}
