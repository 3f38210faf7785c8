/// What reading a network costs, for all its pipelines together: they share one reading. Pure.
public struct NetworkCost: Sendable, Hashable {
    /// One method that is called.
    public struct Call: Sendable, Hashable {
        public let method: String
        public let what: String
        /// On the average of a long range.
        public let perBlock: Double
        /// At the head, a block at a time.
        public let perBlockAtHead: Double
        /// Compute units of one call.
        public let units: Int

        public init(method: String, what: String, perBlock: Double, perBlockAtHead: Double? = nil, units: Int) {
            self.perBlockAtHead = perBlockAtHead ?? perBlock
            self.method = method
            self.what = what
            self.perBlock = perBlock
            self.units = units
        }
    }

    public let network: String
    public let pipelines: [String]
    public let calls: [Call]
    /// Between two blocks.
    public let blockSeconds: Double

    public init(network: String, pipelines: [String], calls: [Call], blockSeconds: Double) {
        self.network = network
        self.pipelines = pipelines
        self.calls = calls
        self.blockSeconds = blockSeconds
    }

    public var callsPerBlock: Double { calls.reduce(0) { $0 + $1.perBlock } }
    public var unitsPerBlock: Double { calls.reduce(0) { $0 + $1.perBlock * Double($1.units) } }
    /// At the head, where a block comes each block time.
    public var unitsPerDay: Double {
        let units = calls.reduce(0) { $0 + $1.perBlockAtHead * Double($1.units) }
        return blockSeconds > 0 ? units * 86_400 / blockSeconds : 0
    }

    /// A few lines; `blocks` of a backfill are reckoned as well.
    public func lines(blocks: UInt64?, style: Style) -> [String] {
        var lines = ["  \(style.bold(Visible.safe(network)))  " + style.dim("for \(pipelines.joined(separator: ", "))")]
        for call in calls {
            let head = call.perBlockAtHead == call.perBlock ? "" : " (at the head \(Amount.fixed(call.perBlockAtHead, 2)))"
            lines.append(
                "    fetch \(call.method): \(call.what), \(Amount.fixed(call.perBlock, 2)) calls a block\(head) of \(call.units) units")
        }
        lines.append(
            "    \(Amount.fixed(callsPerBlock, 2)) calls a block, \(Amount.fixed(unitsPerBlock, 1)) units a block, "
                + "\(Amount.grouped(UInt64(unitsPerDay.rounded()))) units a day at a block each \(Amount.time(blockSeconds))")
        if let blocks {
            lines.append(
                "    \(Amount.grouped(Self.whole(callsPerBlock, blocks))) calls and \(Amount.grouped(Self.whole(unitsPerBlock, blocks))) units for \(Amount.grouped(blocks)) blocks"
            )
        }
        return lines
    }

    /// The same for programs.
    public func json(blocks: UInt64?) -> JSON {
        .members([
            "network": .string(network), "pipelines": .array(pipelines.map { .string($0) }),
            "calls": .array(
                calls.map {
                    .members([
                        "method": .string($0.method), "what": .string($0.what), "calls_per_block": .number(Amount.fixed($0.perBlock, 3)),
                        "calls_per_block_at_head": .number(Amount.fixed($0.perBlockAtHead, 3)),
                        "units_per_call": .integer($0.units),
                    ])
                }),
            "calls_per_block": .number(Amount.fixed(callsPerBlock, 3)), "units_per_block": .number(Amount.fixed(unitsPerBlock, 3)),
            "units_per_day": .integer(UInt64(unitsPerDay.rounded())), "block_seconds": .number(Amount.fixed(blockSeconds, 3)),
            "blocks": .integer(blocks), "calls_for_blocks": .integer(blocks.map { Self.whole(callsPerBlock, $0) }),
            "units_for_blocks": .integer(blocks.map { Self.whole(unitsPerBlock, $0) }),
        ])
    }

    private static func whole(_ each: Double, _ blocks: UInt64) -> UInt64 { UInt64(min(each * Double(blocks), 1e18).rounded(.up)) }
}
