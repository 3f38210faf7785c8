extension Batch {
    /// The batch cut into one for each block of its span. Rows are ordered by block; those of a table without a block number, which
    /// cannot be told apart, go with the last block.
    public func blocks() -> [Batch] {
        guard span.count > 1 else { return [self] }
        var parts = [[Table]](repeating: [], count: span.count)
        for table in tables {
            for (index, rows) in table.rowRanges(of: span).enumerated() { parts[index].append(table.slice(rows)) }
        }
        var parentHash = span.parentHash
        return parts.enumerated().map { index, tables in
            defer { parentHash = span.block(index).hash }
            let block = Span(span.first + UInt64(index), parentHash: parentHash, block: span.block(index))
            return Batch(chainID: chainID, span: block, tables: tables)
        }
    }
}

extension Table {
    /// The rows of each block of a span.
    fileprivate func rowRanges(of span: Span) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        ranges.reserveCapacity(span.count)
        let numbers = schema.blockNumberField.flatMap { column($0) }
        var row = 0
        for index in 0..<span.count {
            let start = row
            let isLast = index == span.count - 1
            if isLast {
                row = rowCount
            } else if let numbers {
                let number = Int64(clamping: span.first + UInt64(index))
                while row < rowCount, numbers.load(row, as: Int64.self) <= number { row += 1 }
            }
            ranges.append(start..<row)
        }
        return ranges
    }
}
