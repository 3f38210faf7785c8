import SluiceCore
import Testing

/// Layouts, numbers and texts that others have stored already: they must never change.
@Suite struct IdentityTests {
    private static func component(
        _ network: NetworkKind, _ type: PipelineType, _ kind: ComponentKind, _ register: RegisterType
    ) -> ComponentPID {
        ComponentPID(network: network, pipelineType: type, kind: kind, register: register)
    }

    private static let liveBlock = component(.layer1, .live, .oracle, .gethBlock)
    private static let liveLog = component(.layer1, .live, .pipe, .eventLog)
    private static let liveBalance = component(.layer1, .live, .oracle, .accountBalance)

    private static let vectors: [(pid: PipelinePID, bytes: [UInt8], text: String)] = [
        (
            PipelinePID(type: .live, first: liveBlock, last: liveBlock), [2, 1, 2, 1, 2, 1, 2, 1, 2],
            "live::layer1:live:oracle:geth_block::layer1:live:oracle:geth_block"
        ),
        (
            PipelinePID(type: .live, first: liveLog, last: liveBlock), [2, 1, 2, 2, 3, 1, 2, 1, 2],
            "live::layer1:live:pipe:event_log::layer1:live:oracle:geth_block"
        ),
        (
            PipelinePID(type: .live, first: liveBalance, last: liveBalance), [2, 1, 2, 1, 1, 1, 2, 1, 1],
            "live::layer1:live:oracle:account_balance::layer1:live:oracle:account_balance"
        ),
        (
            PipelinePID(
                type: .backtest, first: component(.layer2, .backtest, .pipe, .eventLog),
                last: component(.layer2, .backtest, .oracle, .gethBlock)), [1, 2, 1, 2, 3, 2, 1, 1, 2],
            "backtest::layer2:backtest:pipe:event_log::layer2:backtest:oracle:geth_block"
        ),
    ]

    @Test("pipeline PIDs have the bytes and the text of the fixed vectors, and are read back from both")
    func pipelineVectors() {
        for (pid, bytes, text) in Self.vectors {
            #expect(pid.bytes == bytes)
            #expect("\(pid)" == text)
            #expect(PipelinePID(bytes: bytes) == pid)
            #expect(PipelinePID(text) == pid)
            #expect(ComponentPID(bytes: bytes[1...4]) == pid.first && ComponentPID(bytes: bytes[5...8]) == pid.last)
        }
    }

    @Test("a component PID is four bytes and four names")
    func componentPID() {
        #expect(Self.liveBlock.bytes == [1, 2, 1, 2] && "\(Self.liveBlock)" == "layer1:live:oracle:geth_block")
        #expect(ComponentPID("layer1:live:oracle:geth_block") == Self.liveBlock)
        let sink = ComponentPID(bytes: [4, 1, 4, 10])
        #expect(sink?.description == "service:backtest:sink:withdrawals")
        for text in [
            "", "layer1", "layer1:live:oracle", "layer1:live:oracle:geth_block:", ":live:oracle:geth_block", "layer1:live:oracle:blok",
        ] {
            #expect(ComponentPID(text) == nil, "\(text)")
        }
        for count in [0, 3, 5, 9] { #expect(ComponentPID(bytes: [UInt8](repeating: 1, count: count)) == nil) }
    }

    @Test("a session PID is three bytes and three names")
    func sessionPID() {
        let pid = SessionPID(network: .layer2, pipelineType: .live, invariant: .withdrawalEnforcement)
        #expect(pid.bytes == [2, 2, 3] && "\(pid)" == "layer2:live:withdrawal_enforcement")
        #expect(SessionPID(bytes: [2, 2, 3]) == pid && SessionPID("layer2:live:withdrawal_enforcement") == pid)
        #expect(SessionPID("layer2:live") == nil && SessionPID(bytes: [2, 2]) == nil)
    }

    @Test("the numbers are those that identifiers have always carried")
    func numbers() {
        func list<N: NumberedName>(_: N.Type) -> [String] { N.named.map { "\($0)=\($0.rawValue)" } }
        #expect(list(NetworkKind.self) == ["layer1=1", "layer2=2", "other_layer1=3", "service=4"])
        #expect(list(PipelineType.self) == ["backtest=1", "live=2", "mocktest=3"])
        #expect(list(ComponentKind.self) == ["oracle=1", "pipe=2", "aggregator=3", "sink=4"])
        #expect(
            list(RegisterType.self).prefix(10) == [
                "account_balance=1", "geth_block=2", "event_log=3", "blocks=4", "transactions=5", "logs=6", "erc20_transfers=7",
                "erc721_transfers=8", "erc1155_transfers=9", "withdrawals=10",
            ])
        #expect(
            list(InvariantType.self) == ["balance_enforcement=1", "contract_event=2", "withdrawal_enforcement=3", "fault_detector=4"])
        #expect([NetworkKind.layer1, .layer2, .otherLayer1, .service].map(\.rawValue) == [1, 2, 3, 4])
        #expect([PipelineType.backtest, .live, .mocktest].map(\.rawValue) == [1, 2, 3])
        #expect([ComponentKind.oracle, .pipe, .aggregator, .sink].map(\.rawValue) == [1, 2, 3, 4])
        let registers: [RegisterType] = [
            .accountBalance, .gethBlock, .eventLog, .blocks, .transactions, .logs, .erc20Transfers, .erc721Transfers, .erc1155Transfers,
            .withdrawals,
        ]
        #expect(registers.map(\.rawValue) == Array(1...10))
    }

    @Test("a number without a name prints as unknown, keeps its byte, and is not read back from text")
    func unknown() {
        #expect("\(NetworkKind.unknown)" == "unknown" && NetworkKind.unknown.rawValue == 0 && NetworkKind.unknown.name == nil)
        #expect("\(RegisterType(rawValue: 255))" == "unknown" && NetworkKind(name: "unknown") == nil)
        let bytes: [UInt8] = [9, 200, 0, 255]
        #expect(ComponentPID(bytes: bytes)?.bytes == bytes)
        #expect(ComponentPID(bytes: bytes)?.description == "unknown:unknown:unknown:unknown")
        #expect(ComponentPID("unknown:live:oracle:geth_block") == nil)
    }

    // MARK: - UUIDs

    private static let uuid = UUID128(bytes: [0, 1, 2, 3, 4, 50, 100, 255, 0x80, 9, 10, 11, 12, 13, 14, 15]) ?? .zero

    @Test("a UUID has its canonical text, and is read from it in either case")
    func uuidText() {
        #expect("\(Self.uuid)" == "00010203-0432-64ff-8009-0a0b0c0d0e0f")
        #expect(UUID128("00010203-0432-64FF-8009-0A0B0C0D0E0F") == Self.uuid)
        #expect(UUID128(bytes: Self.uuid.bytes) == Self.uuid)
        #expect("\(UUID128.zero)" == "00000000-0000-0000-0000-000000000000")
        for wrong in [
            "", "00010203043264ff80090a0b0c0d0e0f", "00010203-0432-64ff-8009-0a0b0c0d0e0", "00010203-0432-64ff-8009-0a0b0c0d0e0g",
            "00010203-0432-64ff-80090-a0b0c0d0e0f", "{0010203-0432-64ff-8009-0a0b0c0d0e0}", "00010203-0432-64ff-8009-0a0b0c0d0e0é",
        ] { #expect(UUID128(wrong) == nil, "\(wrong)") }
        #expect(UUID128(bytes: [1, 2, 3]) == nil)
    }

    @Test("the short text is bytes 0, 1, 2, 2, 3 to 7 in decimal: byte 2 twice, nothing padded")
    func short() {
        #expect(Self.uuid.short == "0122" + "3" + "4" + "50" + "100" + "255")
        #expect(UUID128.zero.short == "000000000")
        #expect(UUID128(bytes: [UInt8](repeating: 255, count: 16))?.short == String(repeating: "255", count: 9))
    }

    @Test("random UUIDs are of version 4, come from the generator alone, and differ")
    func random() {
        var random = SeededRandom(seed: 7)
        var again = SeededRandom(seed: 7)
        var all: Set<UUID128> = []
        var ones = [Int](repeating: 0, count: 128)
        for _ in 0..<2000 {
            let uuid = UUID128(using: &random)
            #expect(uuid == UUID128(using: &again))
            #expect(uuid.bytes[6] >> 4 == 4 && uuid.bytes[8] >> 6 == 2)
            #expect(UUID128("\(uuid)") == uuid)
            for bit in 0..<128 where uuid.bytes[bit / 8] >> (7 - bit % 8) & 1 == 1 { ones[bit] += 1 }
            all.insert(uuid)
        }
        #expect(all.count == 2000)
        // Every other bit is random: both values occur about equally often.
        for bit in 0..<128 where !(48...51).contains(bit) && !(64...65).contains(bit) {
            #expect((800...1200).contains(ones[bit]), "bit \(bit)")
        }
    }

    // MARK: - Instances

    @Test("instances print as PID, separator and short UUID")
    func instances() {
        let short = "0122345010" + "0255"
        #expect("\(CUUID(pid: Self.liveBlock, uuid: Self.uuid))" == "layer1:live:oracle:geth_block::\(short)")
        let pipeline = PUUID(pid: Self.vectors[1].pid, uuid: Self.uuid)
        #expect("\(pipeline)" == "live::layer1:live:pipe:event_log::layer1:live:oracle:geth_block:::\(short)")
        let session = SessionPID(network: .layer1, pipelineType: .live, invariant: .contractEvent)
        #expect("\(SUUID(pid: session, uuid: Self.uuid))" == "layer1:live:contract_event::\(short)")
    }

    @Test("an instance is read back from its bytes and from its full text")
    func readBack() {
        var random = SeededRandom(seed: 11)
        for (pid, bytes, text) in Self.vectors {
            let id = PUUID(pid, using: &random)
            #expect(id.bytes == bytes + id.uuid.bytes && PUUID(bytes: id.bytes) == id)
            #expect(id.fullText == "\(text):::\(id.uuid)" && PUUID(fullText: id.fullText) == id)
            #expect(PUUID(fullText: "\(id)") == nil, "the short text cannot be read back")
            let component = CUUID(pid.first, using: &random)
            #expect(component.bytes.count == 20 && CUUID(bytes: component.bytes) == component)
            #expect(CUUID(fullText: component.fullText) == component && CUUID(fullText: id.fullText) == nil)
        }
        let session = SUUID(SessionPID(network: .service, pipelineType: .live, invariant: .faultDetector), using: &random)
        #expect(session.bytes.count == 19 && SUUID(bytes: session.bytes) == session && SUUID(fullText: session.fullText) == session)
        for count in [0, 15, 16, 24, 26] { #expect(PUUID(bytes: [UInt8](repeating: 0, count: count)) == nil) }
    }

    @Test("nil identities are zero bytes")
    func zero() {
        #expect(CUUID.zero.bytes == [UInt8](repeating: 0, count: 20))
        #expect(PUUID.zero.bytes == [UInt8](repeating: 0, count: 25))
        #expect(SUUID.zero.bytes == [UInt8](repeating: 0, count: 19))
        #expect(PUUID(bytes: [UInt8](repeating: 0, count: 25)) == .zero)
        #expect("\(CUUID.zero)" == "unknown:unknown:unknown:unknown::000000000")
    }

    @Test("the network of a pipeline is byte 1, that of its destination")
    func network() {
        let mixed = PipelinePID(
            type: .live, first: Self.component(.layer2, .live, .pipe, .eventLog), last: Self.component(.layer1, .live, .oracle, .gethBlock))
        let id = PUUID(pid: mixed, uuid: Self.uuid)
        #expect(id.network == .layer2 && id.network.rawValue == id.bytes[1])
    }

    // MARK: - Fingerprints

    @Test(
        "fingerprints are FNV-1a of 128 bits",
        arguments: [
            ("", "6c62272e07bb014262b821756295c58d"), ("a", "d228cb696f1a8caf78912b704e4a8964"),
            ("foobar", "343e1662793c64bf6f0d3597ba446f18"),
        ])
    func fingerprint(text: String, expected: String) {
        var fingerprint = Fingerprint()
        fingerprint.add(bytes: text.utf8)
        #expect("\(fingerprint)" == expected)
    }

    @Test("texts that end elsewhere give another fingerprint")
    func fingerprintOfTexts() {
        func of(_ texts: [String]) -> Fingerprint {
            var fingerprint = Fingerprint()
            for text in texts { fingerprint.add(text) }
            return fingerprint
        }
        #expect(of(["ab", "c"]) == of(["ab", "c"]))
        #expect(Set([["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], ["", "abc"], []].map(of)).count == 6)
    }
}
