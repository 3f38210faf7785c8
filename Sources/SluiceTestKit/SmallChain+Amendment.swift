public import SluiceCore

extension SmallChain {
    /// What is to be at some places of the logs of a block: a row with a note at each of them.
    /// - Parameter rows: at these places; nil: at all.
    public static func amendment(
        _ number: UInt64, places: Set<UInt64>, rows: Set<UInt64>? = nil, note: String = "new", fork: UInt8 = 0, chainID: UInt64 = 1,
        start: UInt64 = 1_700_000_000
    ) -> Amendment {
        let own = (rows ?? places).sorted()
        var builders = logs.fields.map { ColumnBuilder($0.type) }
        for place in own {
            builders[0].append(chainID)
            builders[1].append(number)
            builders[2].append(bytes: hash(number, fork: fork).bytes)
            builders[3].append(Int64(start + number * 12) * 1_000_000)
            builders[4].append(place)
            builders[5].append(bytes: [UInt8(truncatingIfNeeded: place)])
            builders[6].append(note)
        }
        return Amendment(
            chainID: chainID, block: position(number, fork: fork), timestamp: start + number * 12, column: "log_index", places: places,
            rows: Table(schema: logs, columns: builders.map { $0.finish() }, rowCount: own.count))
    }
}
