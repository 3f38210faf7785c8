import SluiceCore

// Points that go, or that others take the place of.
extension InfluxWriter {
    /// Removes the points of blocks behind a position. What is to go is taken off the segments first: should this be interrupted, those
    /// blocks are read again, and write over what is left of them.
    func rollback(to position: Position) async throws {
        try checkUsable()
        var coverage = taken
        guard let removed = coverage.rollback(to: position) else { return }
        try await guarded { try await send() }
        try confess()
        try await guarded {
            var starts: [Int64] = []
            var unknown: ClosedRange<UInt64>?
            for block in removed {
                if let start = recent[block] {
                    starts.append(start)
                } else {
                    unknown = (unknown?.lowerBound ?? block)...block
                }
            }
            try shorten(to: coverage, removed: removed)
            var all = Set(starts)
            for plan in plans {
                var own = Set(starts)
                if let unknown { own.formUnion(try await self.starts(plan, unknown)) }
                all.formUnion(own)
                for range in Self.ranges(own) {
                    try await server.delete(plan.measurement, tags(plan), range, doing: "undoing blocks of \(plan.measurement)")
                }
            }
            try await sumAnew(all)
        }
    }

    /// Puts rows in the place of what is at some places of blocks that are there.
    func amend(_ amendments: [Amendment]) async throws {
        try checkUsable()
        for amendment in amendments {
            guard amendment.chainID == id.chainID else {
                throw SluiceError(.sinkOrder, .fatal, "rows of chain \(amendment.chainID) for stream \(id)")
            }
            try amendment.rows.requireFit(id, plans.lazy.map(\.schema))
            try taken.require(amendment.block, in: server.shown)
            let plan = try plan(of: amendment)
            guard plan.placeField == amendment.column || plan.tags.contains(where: { $0.field.name == amendment.column }) else {
                throw SluiceError(
                    .amendUnsupported, .config,
                    "points of \(plan.measurement) cannot be found by \(amendment.column): it is neither their place nor a tag",
                    mend: "add \(amendment.column) to the table's tags before blocks are loaded")
            }
        }
        // Blocks that wait for company go in with what they are to have.
        try await guarded { try await settle() }
        guard hasConfessed else {
            throw SluiceError(.influxRow, .retry, "rows of \(id) that wait are refused: they must be dealt with before others are amended")
        }
        try await guarded {
            for amendment in amendments { try await replace(amendment) }
            try await send()
            try await sumAnew(Set(amendments.compactMap { LineTable.start(of: $0.block.number, at: $0.timestamp) }))
        }
        // The others are there, as they will be when the amendments come without those.
        try confess()
    }

    // MARK: - Pieces

    private func plan(of amendment: Amendment) throws -> LineTable {
        guard let plan = plans.first(where: { $0.schema.isNamed(as: amendment.rows.schema) }) else {
            throw SluiceError(.sinkOrder, .fatal, "\(id) has no table \(amendment.rows.schema.name)")
        }
        return plan
    }

    /// What tells a stream's points from those of other chains.
    func tags(_ plan: LineTable) -> [(String, String)] {
        plan.tags.contains { $0.field.name == "chain_id" } ? [("chain_id", "\(id.chainID)")] : []
    }

    private func replace(_ amendment: Amendment) async throws {
        let plan = try plan(of: amendment)
        // What has no time has no points.
        guard let start = LineTable.start(of: amendment.block.number, at: amendment.timestamp) else { return }
        let doing = "amending block \(amendment.block.number) of \(plan.measurement)"
        for place in amendment.places.sorted() {
            if plan.placeField == amendment.column {
                let at = start + Int64(place % UInt64(LineTable.slot))
                try await server.delete(plan.measurement, tags(plan), at...at, doing: doing)
            } else {
                let own = tags(plan) + [(amendment.column, "\(place)")]
                try await server.delete(plan.measurement, own, start...start + LineTable.slot - 1, doing: doing)
            }
        }
        let block = BlockStamp(hash: amendment.block.hash, timestamp: amendment.timestamp)
        if amendment.rows.rowCount > 0 {
            try await put(amendment.rows, Span(amendment.block.number, parentHash: .zero, block: block))
        }
    }

    /// When blocks begin that another process wrote: the server knows.
    private func starts(_ plan: LineTable, _ blocks: ClosedRange<UInt64>) async throws -> [Int64] {
        let found = try await server.times(
            plan.measurement, tags(plan), plan.schema.fields[plan.number].name, blocks, doing: "looking up blocks of \(plan.measurement)")
        return found.map { time, block in
            let second = (time >= 0 ? time : time - 999_999_999) / 1_000_000_000
            return second * 1_000_000_000 + Int64(block % LineTable.slots) * LineTable.slot
        }
    }

    /// The time of blocks, those that touch as one.
    static func ranges(_ starts: Set<Int64>) -> [ClosedRange<Int64>] {
        starts.sorted().reduce(into: []) { ranges, start in
            if let last = ranges.last, last.upperBound + 1 == start {
                ranges[ranges.count - 1] = last.lowerBound...start + LineTable.slot - 1
            } else {
                ranges.append(start...start + LineTable.slot - 1)
            }
        }
    }
}
