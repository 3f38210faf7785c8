import SluiceChain
import SluiceCore
import Testing

@testable import EthereumConnector

/// Contracts that are found by what their factory logs.
@Suite struct ContractFactoryTests {
    private let created = Result {
        try ABIEvent("event PairCreated(address indexed token0, address indexed token1, address pair, uint256)")
    }
    private let sync = Result { try ABIEvent("event Sync(uint112 reserve0, uint112 reserve1)") }
    private let factoryAddress = account(0xFA)

    private func factory() throws -> ContractFactory {
        try ContractFactory(address: factoryAddress, event: try created.get(), argument: "pair")
    }

    private func creation(_ pair: UInt8, block: UInt64 = 1, by address: Address? = nil) throws -> MadeLog {
        try MadeLog(
            address ?? factoryAddress, try created.get(),
            [.address(account(1)), .address(account(2)), .address(account(pair)), .uint(UInt256(1))], block: block)
    }

    private func syncing(_ pair: UInt8, block: UInt64 = 1) throws -> MadeLog {
        try MadeLog(account(pair), try sync.get(), [.uint(UInt256(1)), .uint(UInt256(2))], block: block)
    }

    private func pipe(_ discovered: [DiscoveredContract] = []) throws -> EventLogPipe {
        EventLogPipe([EventSubscription(factory: try factory(), events: [try sync.get()])], discovered: discovered)
    }

    /// The contracts of the rows that come out, in order.
    private func rows(_ pipe: inout EventLogPipe, _ logs: [MadeLog]) throws -> [Address] {
        let rows = try run(&pipe, table(logs)).rows
        let column = try #require(rows.column("address"))
        return (0..<rows.rowCount).compactMap { Address(column.bytes($0)) }
    }

    @Test("a contract is read from the log on in which its factory names it")
    func order() throws {
        var pipe = try pipe()
        let logs = try [
            syncing(10), creation(10), syncing(10), creation(11, by: account(0xFB)), syncing(11), creation(12, block: 2),
            syncing(12, block: 2),
        ]
        let (_, report) = try run(&pipe, table(logs))
        #expect(report.filtered == ["no matching address or event": 3, "event of a factory, read for its address": 2])
        #expect(pipe.discovered.map(\.address) == [account(10), account(12)])
        #expect(pipe.discovered.map(\.block) == [BlockRef(number: 1, hash: hash(1)), BlockRef(number: 2, hash: hash(2))])
        #expect(try rows(&pipe, [syncing(12, block: 3), syncing(11, block: 3), syncing(10, block: 3)]) == [account(12), account(10)])
    }

    @Test("a rollback forgets what was made behind it, and the other branch makes its own")
    func rollback() throws {
        var pipe = try pipe()
        _ = try rows(&pipe, [creation(10, block: 1), creation(11, block: 2), creation(12, block: 3), creation(10, block: 3)])
        pipe.rollback(to: Position(number: 1, hash: hash(1)))
        #expect(pipe.discovered.map(\.address) == [account(10)])
        #expect(
            try rows(&pipe, [syncing(11, block: 2), syncing(10, block: 2), creation(12, block: 2), syncing(12, block: 2)])
                == [account(10), account(12)])
        pipe.rollback(to: Position(number: 0, hash: hash(0)))
        #expect(pipe.discovered.isEmpty)
    }

    @Test("what was discovered outlives the pipe")
    func restart() throws {
        var before = try pipe()
        _ = try rows(&before, [creation(10, block: 1), creation(11, block: 2)])
        var after = try pipe(before.discovered)
        #expect(after.discovered == before.discovered)
        #expect(try rows(&after, [syncing(10, block: 3), syncing(11, block: 3), syncing(12, block: 3)]) == [account(10), account(11)])
        // Reading the same blocks again changes nothing, and what was read in the wrong order is known from its first block.
        _ = try rows(&after, [creation(11, block: 2), creation(10, block: 1)])
        #expect(after.discovered == before.discovered)
        let other = DiscoveredContract(
            address: account(20), factory: account(1), signature: "X()", argument: "pair", block: before.discovered[0].block)
        #expect(try pipe([other]).discovered.isEmpty)
    }

    @Test("what was discovered goes through what the runtime keeps: each contract once, and again after a rollback")
    func findings() throws {
        let register = EventLogRegister.register([EventSubscription(factory: try factory(), events: [try sync.get()])])
        #expect(register.keepsFindings)
        var before = try pipe()
        _ = try rows(&before, [creation(10, block: 1), creation(11, block: 2), creation(10, block: 2)])
        let findings = before.takeFindings()
        #expect(findings.map(\.block.number) == [1, 2] && before.takeFindings().isEmpty)
        before.rollback(to: Position(number: 1, hash: hash(1)))
        _ = try rows(&before, [creation(11, block: 2)])
        #expect(before.takeFindings() == Array(findings.suffix(1)))
        let others = [Finding(block: findings[0].block, text: "nonsense"), Finding(block: findings[0].block, text: "a b c d")]
        var after = try #require(try register.makePipe(ComponentContext(pipeline: "p", findings: others + findings)) as? EventLogPipe)
        #expect(after.discovered == before.discovered && after.takeFindings().isEmpty)
        #expect(try rows(&after, [syncing(10, block: 3), syncing(11, block: 3)]) == [account(10), account(11)])
    }

    @Test("a factory's event may be wanted as well, and one that cannot be read is a dead letter either way")
    func wantedAndMalformed() throws {
        let subscriptions = [
            EventSubscription(factory: try factory(), events: [try sync.get()]),
            EventSubscription(addresses: [factoryAddress], events: [try created.get()]),
        ]
        var bad = try creation(10)
        bad.data[0] = 1
        var both = EventLogPipe(subscriptions)
        let (rows, report) = try run(&both, table([bad, creation(11), syncing(10), syncing(11)]))
        #expect(rows.texts("event") == ["PairCreated", "Sync"] && report.filtered == ["no matching address or event": 1])
        #expect(report.deadLetters.map(\.row) == ["log 0"])
        var alone = try pipe()
        #expect(try run(&alone, table([bad])).report.deadLetters == report.deadLetters)
    }

    @Test("other subscriptions keep what a factory made as long as it is named")
    func update() throws {
        var pipe = try pipe()
        _ = try rows(&pipe, [creation(10)])
        let more = EventSubscription(addresses: [account(30)], events: [try sync.get()])
        pipe.update([more, EventSubscription(factory: try factory(), events: [try sync.get()])])
        #expect(try rows(&pipe, [syncing(30), syncing(10)]) == [account(30), account(10)])
        pipe.update([more])
        #expect(try rows(&pipe, [syncing(30), syncing(10)]) == [account(30)])
        #expect(pipe.discovered.isEmpty)
    }

    @Test(
        "a factory that cannot tell addresses is refused, and says what mends it",
        arguments: [
            ("PairCreated(address,address,address,uint256)", "pair", "does not tell which arguments are indexed"),
            ("event PairCreated(address pair) anonymous", "pair", "is anonymous"),
            ("event PairCreated(address token, uint256 pair)", "pair", "of type uint256"),
            ("event PairCreated(address token, address other)", "pair", "0 arguments called 'pair'"),
            ("event PairCreated(address pair, address pair)", "pair", "2 arguments called 'pair'"),
        ])
    func refused(declaration: String, argument: String, problem: String) throws {
        let event = try ABIEvent(declaration)
        let error = #expect(throws: SluiceError.self) { try ContractFactory(address: account(1), event: event, argument: argument) }
        #expect(
            error?.code == .eventSubscription && error?.mend != nil && error?.message.contains(problem) == true, "\(error?.message ?? "")")
    }
}
