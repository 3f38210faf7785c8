import SluiceCore

/// Reads one partition: a block is an offset, with a record or without. What is committed is never undone.
struct PartitionOracle: Oracle {
    let source: KafkaSource
    let part: SourcePart
    let group: String
    let observe: @Sendable (OracleEvent) -> Void

    private var options: KafkaSourceOptions { source.options }

    func live(from position: Position?, start: UInt64?, until: UInt64?, into egress: any Egress) async throws {
        let first: UInt64
        if let known = position.map({ $0.number + 1 }) ?? start { first = known } else { first = try await beginning() }
        try await read(from: first, through: until, into: egress)
    }

    func backfill(_ range: ClosedRange<UInt64>, after position: Position?, into egress: any Egress) async throws {
        try await read(from: range.lowerBound, through: range.upperBound, into: egress)
    }

    func head() async throws -> ChainHead {
        let ends = try await source.lookup.ends(of: part)
        return Self.head(ends.end)
    }

    private static func head(_ end: UInt64) -> ChainHead { ChainHead(latest: end > 0 ? end - 1 : 0, finalized: end > 0 ? end - 1 : 0) }

    /// Nothing is ever undone; but the topic may be another one by now.
    func settle(_ position: Position, finalized: UInt64?) async throws -> Position {
        try requireOwn(position)
        try requireEnd(behind: position.number + 1, try await source.lookup.ends(of: part))
        return position
    }

    // MARK: - Where to begin

    /// Where the sinks hold nothing: where the group stands, else where the configuration says.
    private func beginning() async throws -> UInt64 {
        let ends = try await source.lookup.ends(of: part)
        if let committed = try await source.lookup.committed(part, group: group) {
            try require(committed, within: ends)
            return committed
        }
        return options.start == .earliest ? ends.first : ends.end
    }

    private func requireOwn(_ position: Position) throws {
        guard position.hash == MadeChain.hash(part.chainID, Int64(clamping: position.number)) else {
            throw SluiceError(
                .kafkaPosition, .pause, "a sink holds \(position) of \(part), which is not how offset \(position.number) is known there",
                mend: "write to another sink, or give the pipeline another name")
        }
    }

    /// Makes sure that what is wanted next is there, or will be.
    private func require(_ next: UInt64, within ends: KafkaLookup.Ends) throws {
        try requireEnd(behind: next, ends)
        if next < ends.first {
            throw SluiceError(
                .recordsLost, .pause,
                "\(part) at \(options.access.brokers) begins at offset \(ends.first): records \(next) to \(ends.first - 1) were deleted before they were read",
                mend: "say on_loss: continue to go on behind them; they stay visible as a gap")
        }
    }

    private func requireEnd(behind next: UInt64, _ ends: KafkaLookup.Ends) throws {
        guard next > ends.end else { return }
        throw SluiceError(
            .kafkaTopic, .pause,
            "\(part) at \(options.access.brokers) ends at offset \(ends.end), but its records up to \(next - 1) are there already: the topic was made anew",
            mend: "give the network another name, which makes it another one for all sinks")
    }

    // MARK: - Reading

    private func read(from first: UInt64, through last: UInt64?, into egress: any Egress) async throws {
        try require(first, within: try await source.lookup.ends(of: part))
        let feed = KafkaFeed(part, options)
        do {
            try await feed.open(at: first)
            try await send(feed, from: first, through: last, into: egress)
        } catch {
            await feed.close()
            throw error
        }
        await feed.close()
    }

    private func send(_ feed: KafkaFeed, from first: UInt64, through last: UInt64?, into egress: any Egress) async throws {
        var next = first
        var told: UInt64?
        while last.map({ next <= $0 }) ?? true {
            try Task.checkCancellation()
            let border = Self.border(behind: next, every: options.batchOffsets)
            let batch = try await feed.batch(from: next, through: min(border, last ?? .max))
            if let end = await feed.knownEnd, end != told {
                told = end
                observe(.head(Self.head(end)))
            }
            guard let batch else { continue }
            observe(.received(bytes: batch.byteCount))
            next = batch.span.last.number + 1
            try await egress.send(.batch(batch))
            try await egress.send(.finalized(next - 1))
        }
    }

    /// The last offset of the batch that an offset is in, when there is that much.
    static func border(behind offset: UInt64, every: UInt64) -> UInt64 {
        let (border, isTooMuch) = (offset / every).addingReportingOverflow(1)
        let (end, overflows) = border.multipliedReportingOverflow(by: every)
        return isTooMuch || overflows ? .max : end - 1
    }
}
