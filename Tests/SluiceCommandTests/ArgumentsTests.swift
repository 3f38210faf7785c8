import SluiceCommand
import Testing

@Suite struct ArgumentsTests {
    private static let command = Command(
        name: "fetch", summary: "", usage: "",
        options: [.config, Option("--from", "A", ""), Option("--fault", "KIND=SHARE", "", isRepeatable: true), .quiet], operands: 0...1
    ) { _ in .success }

    private func parse(_ words: String...) throws -> Arguments { try Arguments(words, command: Self.command) }

    @Test("options come with a space or an equals sign, long or short, and operands between them")
    func forms() throws {
        let arguments = try parse("-c", "a.yaml", "--from=1_000,000", "table", "--quiet")
        #expect(arguments.config == "a.yaml")
        #expect(try arguments.number("--from") == 1_000_000)
        #expect(arguments.operands == ["table"])
        #expect(arguments.has("--quiet"))
    }

    @Test("an option that may be repeated keeps every value in order")
    func repeated() throws {
        #expect(try parse("--fault", "a=1%", "--fault=b=2%").strings("--fault") == ["a=1%", "b=2%"])
    }

    @Test("behind two dashes everything is an operand")
    func dashes() throws { #expect(try parse("--", "--quiet").operands == ["--quiet"]) }

    @Test(
        "what is not understood is refused",
        arguments: [
            ["--form", "1"], ["--from"], ["--from", "1", "--from", "2"], ["--quiet=yes"], ["a", "b"], ["-x"],
        ])
    func refused(_ words: [String]) { #expect(throws: UsageError.self) { try Arguments(words, command: Self.command) } }

    @Test("a misspelt option is answered with the one that was meant")
    func suggestion() throws {
        let error = #expect(throws: UsageError.self) { try parse("--form", "1") }
        #expect(error?.suggestion == "--from")
        #expect(error?.help == "sluice fetch --help")
    }

    @Test("shares are read as fractions and per cent", arguments: [("0.05", 0.05), ("5%", 0.05), ("1", 1), ("100%", 1), ("0", 0)])
    func shares(_ text: String, _ share: Double) { #expect(Arguments.share(text) == share) }

    @Test("what is no share is none", arguments: ["101%", "-1", "1.5", "x", "", "%", "nan"])
    func noShares(_ text: String) { #expect(Arguments.share(text) == nil) }

    @Test("every exit code has a number of its own and a line of documentation")
    func exitCodes() {
        #expect(Set(ExitCode.allCases.map(\.rawValue)).count == ExitCode.allCases.count)
        #expect(ExitCode.allCases.allSatisfy { !$0.doc.isEmpty })
    }
}
