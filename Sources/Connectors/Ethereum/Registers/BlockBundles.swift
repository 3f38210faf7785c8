import SluiceCore

/// The register `block_bundles`: which blocks of several chains belong together, by the policy of the pipeline. Any table of these chains can
/// be joined by it.
enum BlockBundles {
    static let schema = Schema(
        name: "block_bundles", key: ["chain_id", "bundle_hash", "stream", "block_number"],
        doc: "Blocks of several chains that belong together: one row a block of a bundle.",
        fields: [
            Field("chain_id", .int64, content: .repeating, "Chain of the pipeline's first stream."),
            Field("bundle_number", .int64, content: .repeating, "Number of the bundle, from 1 on."),
            Field("bundle_hash", .fixedBytes(32), content: .repeating, "Hash over its blocks and the bundle before."),
            Field("bundle_timestamp", .timestamp, content: .repeating, "The greatest time of its blocks."),
            Field("is_partial", .bool, content: .repeating, "Whether the wait for a stream was given up."),
            Field("stream", .int64, content: .repeating, "Which stream of the pipeline the block is from, counted from 1."),
            Field("block_chain_id", .int64, content: .repeating, "Chain of the block."),
            Field("block_number", .int64, "Number of the block."),
            Field("block_hash", .fixedBytes(32), "Hash of the block."),
            Field("block_timestamp", .timestamp, "Time of the block."),
        ])

    static let register = Register(
        name: schema.name, number: .blockBundles,
        doc: "Blocks of several chains that belong together, by height, by time, in windows or as they come.", schemas: [schema],
        dependencies: [EthereumTables.blocks.name], needs: [Need(EthereumTables.blocks.name)],
        maker: .aggregator { streams, policy in Bundler(streams: streams, policy: policy) })

    /// Writes down which blocks it is given.
    private struct Bundler: Aggregator {
        let streams: [AggregatedStream]
        let policy: SynchronizationPolicy
        var schemas: [Schema] { [schema] }

        mutating func aggregate(_ bundle: Bundle, report: inout PipeReport) throws -> [Table] {
            var columns = schema.fields.map { ColumnBuilder($0.type) }
            var rows = 0
            for (index, stream) in streams.enumerated() {
                for batch in bundle.inputs[index] {
                    for (offset, block) in batch.span.blocks.enumerated() {
                        columns[0].append(Int64(bitPattern: streams[0].chainID))
                        columns[1].append(Int64(bitPattern: bundle.number))
                        columns[2].append(bundle.hash)
                        columns[3].append(Self.microseconds(bundle.timestamp))
                        columns[4].append(bundle.isPartial)
                        columns[5].append(Int64(index + 1))
                        columns[6].append(Int64(bitPattern: stream.chainID))
                        columns[7].append(Int64(bitPattern: batch.span.first + UInt64(offset)))
                        columns[8].append(block.hash)
                        columns[9].append(Self.microseconds(block.timestamp))
                        rows += 1
                    }
                }
            }
            return [Table(schema: schema, columns: columns.map { $0.finish() }, rowCount: rows)]
        }

        /// A chain may claim any time; one that no store could hold is cut off at the greatest.
        private static func microseconds(_ seconds: UInt64) -> Int64 {
            let (product, overflow) = Int64(clamping: seconds).multipliedReportingOverflow(by: 1_000_000)
            return overflow ? .max : product
        }
    }
}
