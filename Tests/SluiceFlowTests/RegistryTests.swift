import SluiceCore
import SluiceFlow
import Testing

/// What a registry refuses and why, and what follows from one that is whole.
@Suite struct RegistryTests {
    private static func schema(_ name: String, _ type: LogicalType = .int64) -> Schema {
        Schema(name: name, key: ["k"], doc: "", fields: [Field("k", type, "")])
    }

    private static func oracle(_ name: String, _ number: UInt8, tables: [String]? = nil, dependencies: [String] = []) -> Register {
        Register(
            name: name, number: RegisterType(rawValue: number), doc: "", schemas: (tables ?? [name]).map { schema($0) },
            dependencies: dependencies, maker: .oracle { PassPipe() })
    }

    private static func pipe(
        _ name: String, _ number: UInt8, _ dependencies: [String], needs: [Need] = [], isAddressed: Bool = false,
        stateKey: StateKeyShape? = nil, table: Schema? = nil
    ) -> Register {
        Register(
            name: name, number: RegisterType(rawValue: number), doc: "", schemas: [table ?? schema(name)], dependencies: dependencies,
            needs: needs, isAddressed: isAddressed, stateKey: stateKey, maker: .pipe { _ in PassPipe() })
    }

    /// The registers of which the document speaks.
    private static let known = [
        oracle("geth_block", 2, tables: ["blocks", "logs"]),
        Register(
            name: "account_balance", number: .accountBalance, doc: "", schemas: [schema("account_balance")], isAddressed: true,
            stateKey: StateKeyShape(prefix: "account_balance", id: "address"), maker: .oracle { PassPipe() }),
        pipe(
            "event_log", 3, ["geth_block"], needs: [Need("logs")], isAddressed: true,
            stateKey: StateKeyShape(prefix: "event_log", id: "address", isNested: true)),
    ]

    private func texts(_ registers: [Register]) -> [String] { Registry.problems(in: registers).map(\.description) }

    // MARK: - Refused

    @Test("a missing dependency is reported with the path to it, and with what was probably meant")
    func missing() {
        let registers = [Self.pipe("alpha", 101, ["beta"]), Self.pipe("beta", 102, ["gamma"])]
        #expect(texts(registers) == ["alpha -> beta -> gamma: no register gamma"])
        #expect(
            texts([Self.oracle("geth_block", 2), Self.pipe("x", 101, ["get_block"])]) == [
                "x -> get_block: no register get_block; did you mean \"geth_block\"?"
            ])
    }

    @Test("a cycle is printed, wherever it is met; what leads to it is not part of it")
    func cycles() {
        let registers = [
            Self.pipe("top", 100, ["a"]), Self.pipe("a", 101, ["b"]), Self.pipe("b", 102, ["c"]), Self.pipe("c", 103, ["a"]),
        ]
        #expect(texts(registers) == ["a -> b -> c -> a: a register cannot depend on itself"])
        #expect(texts([Self.pipe("a", 101, ["a"])]) == ["a -> a: a register cannot depend on itself"])
        #expect(texts([Self.pipe("a", 101, ["b"]), Self.pipe("b", 102, ["a"])]) == ["a -> b -> a: a register cannot depend on itself"])
    }

    @Test("an oracle depends on nothing, a pipe on something")
    func kinds() {
        #expect(
            texts([Self.oracle("o", 100), Self.oracle("p", 101, dependencies: ["o"]), Self.pipe("q", 102, [])]) == [
                "p -> o: the oracle p reads a network, not another register",
                "q: the pipe q depends on nothing, so that nothing flows into it",
            ])
    }

    @Test("names and numbers are given once, and a number is not used for another register than the one it stands for")
    func doubles() {
        #expect(texts([Self.oracle("o", 100), Self.oracle("o", 101)]) == ["o: there are two registers of this name"])
        #expect(texts([Self.oracle("o", 100), Self.oracle("p", 100)]) == ["p: number 100 is taken by o"])
        #expect(texts([Self.oracle("o", 2)]) == ["o: number 2 is that of geth_block"])
        #expect(
            texts([Self.oracle("o", 0), Self.oracle("p", 0)]) == [
                "o: number 0 stands for no register", "p: number 0 stands for no register",
            ])
        #expect(Registry.problems(in: [Self.oracle("a:b", 100), Self.oracle("", 101)]).map(\.kind) == [.badName, .badName])
        #expect(texts([Self.oracle("o", 100), Self.pipe("p", 101, ["o", "o"])]) == ["p -> o: p depends on o twice"])
    }

    @Test("what a pipe needs must be made by one of its dependencies, what an oracle needs by itself")
    func mismatches() {
        let base = [Self.oracle("o", 100, tables: ["t", "u"]), Self.oracle("p", 101)]
        #expect(texts(base + [Self.pipe("q", 102, ["p", "o"], needs: [Need("u"), Need("p")])]) == [])
        #expect(
            texts(base + [Self.pipe("q", 102, ["o"], needs: [Need("u"), Need("p")]), Self.pipe("r", 103, ["q"])]) == [
                "r -> q: q needs the table p, but o makes t, u"
            ])
        // The table is there, but further down: a pipe sees only what its own dependencies make.
        #expect(
            texts(base + [Self.pipe("q", 102, ["o"]), Self.pipe("r", 103, ["q", "p"], needs: [Need("t")])]) == [
                "r: r needs the table t, but q makes q; p makes p"
            ])
        let oracle = Register(
            name: "o", number: RegisterType(rawValue: 100), doc: "", schemas: [Self.schema("t")], needs: [Need("x")],
            maker: .oracle { PassPipe() })
        #expect(texts([oracle]) == ["o: o needs the table x, but o makes t"])
        #expect(
            texts([Self.oracle("o", 100, tables: ["t"]), Self.pipe("q", 101, ["o"], table: Self.schema("t", .string))]) == [
                "q: makes the table t with another key or other columns than o"
            ])
    }

    @Test("what is addressed has a state key, and what has one is addressed")
    func addressing() {
        let key = StateKeyShape(prefix: "q", id: "address", isNested: true)
        let registers = [
            Self.oracle("o", 100), Self.pipe("q", 101, ["o"], isAddressed: true), Self.pipe("r", 102, ["o"], stateKey: key),
        ]
        #expect(
            texts(registers) == [
                "q: q is addressed, but has no state key under which to find addresses",
                "r: r has the state key q-address-*, but is not addressed",
            ])
    }

    @Test("all problems come in one error of class config, a line each")
    func error() {
        let error = #expect(throws: SluiceError.self) {
            _ = try Registry([Self.pipe("alpha", 101, ["gone"]), Self.oracle("root", 101)])
        }
        #expect(error?.code == .invalidRegistry && error?.class == .config)
        #expect(
            error?.description
                == "the registers do not fit together, 2 problems:\n  root: number 101 is taken by alpha\n  alpha -> gone: no register gone"
        )
    }

    // MARK: - What follows

    @Test("a path is followed to its end: destination first, every register once, the oracle last")
    func paths() throws {
        let registry = try Registry([
            Self.pipe("top", 110, ["left", "right"]), Self.pipe("left", 111, ["middle"]), Self.pipe("right", 112, ["other", "middle"]),
            Self.pipe("middle", 113, ["root"]), Self.oracle("root", 114), Self.oracle("other", 115),
        ])
        #expect(try registry.path(of: "top").map(\.name) == ["top", "right", "other", "left", "middle", "root"])
        #expect(try registry.path(of: "left").map(\.name) == ["left", "middle", "root"])
        #expect(try registry.path(of: "root").map(\.name) == ["root"])
        let error = #expect(throws: SluiceError.self) { _ = try registry.path(of: "midle") }
        #expect(error?.code == .unknownRegister && error?.description == "no register midle (did you mean \"middle\"?)")
    }

    @Test("PIDs are those of the fixed vectors")
    func pids() throws {
        let registry = try Registry(Self.known)
        func bytes(_ name: String, _ network: NetworkKind, _ type: PipelineType) throws -> [UInt8] {
            try registry.pipelinePID(of: name, network: network, type: type).bytes
        }
        #expect(try bytes("geth_block", .layer1, .live) == [2, 1, 2, 1, 2, 1, 2, 1, 2])
        #expect(try bytes("event_log", .layer1, .live) == [2, 1, 2, 2, 3, 1, 2, 1, 2])
        #expect(try bytes("account_balance", .layer1, .live) == [2, 1, 2, 1, 1, 1, 2, 1, 1])
        #expect(try bytes("event_log", .layer2, .backtest) == [1, 2, 1, 2, 3, 2, 1, 1, 2])
        #expect(try registry.componentPID(of: "event_log", network: .layer1, type: .live).bytes == [1, 2, 2, 3])
    }

    @Test("an oracle reads what is needed along the whole path, and all it has only when it is asked for itself")
    func needs() throws {
        let registry = try Registry([
            Register(
                name: "o", number: RegisterType(rawValue: 100), doc: "", schemas: ["t", "u", "v"].map { Self.schema($0) },
                needs: ["t", "u", "v"].map { Need($0) }, maker: .oracle { PassPipe() }),
            Self.pipe("p", 101, ["o"], needs: [Need("t", topics: [.zero])]),
            Self.pipe("q", 102, ["p", "o"], needs: [Need("p"), Need("u")]),
        ])
        #expect(try registry.needs(of: ["q"]) == [Need("u"), Need("t", topics: [.zero])])
        #expect(try registry.needs(of: ["p", "q"]) == [Need("t", topics: [.zero]), Need("u")])
        #expect(try registry.needs(of: ["o"]).map(\.table) == ["t", "u", "v"])
    }

    @Test("equal PIDs are told apart by what lies between the ends, and by how they are set up")
    func fingerprints() throws {
        let short = try Registry([Self.oracle("o", 100), Self.pipe("m", 101, ["o"]), Self.pipe("p", 102, ["o"])])
        let long = try Registry([Self.oracle("o", 100), Self.pipe("m", 101, ["o"]), Self.pipe("p", 102, ["m"])])
        let other = try Registry([Self.oracle("o", 100), Self.pipe("m", 103, ["o"]), Self.pipe("p", 102, ["m"])])
        for registry in [long, other] {
            #expect(
                try registry.pipelinePID(of: "p", network: .layer1, type: .live)
                    == short.pipelinePID(of: "p", network: .layer1, type: .live))
        }
        var seen: Set<Fingerprint> = []
        for registry in [short, long, other] {
            for configuration in [[:], ["chain": "1"], ["chain": "10"], ["chain": "1", "p": "address: 0x1"], ["chain1": ""]] {
                let fingerprint = try registry.fingerprint(of: "p", configuration: configuration)
                #expect(try registry.fingerprint(of: "p", configuration: configuration) == fingerprint)
                #expect(seen.insert(fingerprint).inserted, "\(configuration)")
            }
        }
        // Written down, so that a change of the hash is a decision.
        #expect(try "\(long.fingerprint(of: "p", configuration: ["chain": "1"]))" == "2070a3a8c03a1753c69e927c5ec9c1a2")
    }
}
