public import SluiceCore

/// What components learnt from blocks and must know again when others are made in their place.
extension StateStore {
    /// What a register of a stream found in blocks up to a number, in their order.
    public func findings(of stream: StreamID, register: String, through number: UInt64) throws -> [Finding] {
        var out: [Finding] = []
        try reading().run(
            """
            SELECT number, hash, text FROM findings WHERE pipeline = ? AND chain_id = ? AND register = ? AND number <= ? \
            ORDER BY number, text
            """, [.text(stream.pipeline), try Self.store(stream.chainID), .text(register), Self.end(number)]
        ) { row throws(SluiceError) in
            let block = BlockRef(number: UInt64(bitPattern: row.int(0)), hash: try row.hash(1))
            out.append(Finding(block: block, text: row.text(2)))
        }
        return out
    }

    /// Puts what a register found in some blocks in the place of whatever it found there before, in one step.
    public func replaceFindings(_ findings: [Finding], in blocks: ClosedRange<UInt64>, of stream: StreamID, register: String) throws {
        let key: [SQLiteValue] = [.text(stream.pipeline), try Self.store(stream.chainID), .text(register)]
        let database = try writing()
        try database.transaction { () throws(SluiceError) in
            try database.run(
                "DELETE FROM findings WHERE pipeline = ? AND chain_id = ? AND register = ? AND number >= ? AND number <= ?",
                key + [try Self.store(blocks.lowerBound), Self.end(blocks.upperBound)])
            for finding in findings {
                try database.run(
                    "INSERT INTO findings VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    key + [try Self.store(finding.block.number), .text(finding.text), .blob(finding.block.hash.bytes)])
            }
        }
    }

    /// The end of a range, which may be open.
    private static func end(_ number: UInt64) -> SQLiteValue { .int(Int64(clamping: number)) }
}
