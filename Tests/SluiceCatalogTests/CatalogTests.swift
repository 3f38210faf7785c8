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
            let pipe = try register.makePipe(ComponentContext(pipeline: "test"))
            #expect(pipe.schemas == register.schemas)
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
