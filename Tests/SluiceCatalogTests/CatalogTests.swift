import SluiceCatalog
import SluiceCore
import SluiceFlow
import Testing

@Suite struct CatalogTests {
    @Test("all registers fit together, and each is called what its number says")
    func registry() throws {
        let registry = try Catalog.registry()
        #expect(registry.registers.map(\.name) == Catalog.registers.map(\.name))
        for register in registry.registers {
            #expect(register.number.name == register.name)
            let path = try registry.path(of: register.name)
            #expect(path.last?.kind == .oracle)
            if register.kind == .aggregator {
                let streams = [AggregatedStream(network: "a", chainID: 1), AggregatedStream(network: "b", chainID: 10)]
                #expect(try register.makeAggregator(streams, .alignedByHeight()).schemas == register.schemas)
                #expect(throws: SluiceError.self) { try register.makePipe(ComponentContext(pipeline: "test")) }
            } else {
                #expect(try register.makePipe(ComponentContext(pipeline: "test")).schemas == register.schemas)
                #expect(throws: SluiceError.self) { try register.makeAggregator([], .alignedByHeight()) }
            }
            let pid = try registry.pipelinePID(of: register.name, network: .layer1, type: .live)
            #expect(PipelinePID("\(pid)") == pid)
        }
    }

    @Test("an oracle fetches for a register what it needs, not all that the register's oracle could make")
    func needs() throws {
        let registry = try Catalog.registry()
        for register in registry.registers { #expect(try registry.needs(of: [register.name]) == register.needs) }
        #expect(try registry.needs(of: ["logs", "erc20_transfers"]).map(\.table) == ["logs", "logs"])
    }
}
