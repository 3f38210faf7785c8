import SluiceCommand
import Testing

@Suite struct LookupTests {
    private static func command(_ name: String, isHidden: Bool = false) -> Command {
        Command(name: name, summary: "does \(name)", usage: "", options: [], isHidden: isHidden) { _ in .success }
    }

    private static let commands = [command("run"), command("dlq list"), command("dlq drop"), command("secret", isHidden: true)]

    private func find(_ words: String...) throws -> Command.Found? { try Command.find(words, among: Self.commands) }

    @Test("a command of one word or two is found, with what stands behind it")
    func found() throws {
        for (words, name) in [(["run", "list"], "run"), (["dlq", "list", "list"], "dlq list"), (["secret", "list"], "secret")] {
            guard case .command(let command, let rest) = try Command.find(words, among: Self.commands) else {
                Issue.record("\(words) is not found")
                continue
            }
            #expect(command.name == name)
            #expect(rest == ["list"])
        }
        guard case nil = try find() else {
            Issue.record("nothing is no command")
            return
        }
    }

    @Test("the first word of two is a group, alone and with a wish for help", arguments: [[], ["--help"], ["-h"], ["help"]])
    func group(_ more: [String]) throws {
        guard case .group(let group) = try Command.find(["dlq"] + more, among: Self.commands) else {
            Issue.record("no group")
            return
        }
        #expect(group.map(\.name) == ["dlq list", "dlq drop"])
        #expect(Help.group(group).contains("  dlq drop  does dlq drop\n"))
    }

    @Test("what is no command is answered with the one that was meant")
    func unknown() throws {
        #expect(#expect(throws: UsageError.self) { try find("rum") }?.suggestion == "run")
        #expect(#expect(throws: UsageError.self) { try find("dql") }?.suggestion == "dlq")
        let second = #expect(throws: UsageError.self) { try find("dlq", "lst") }
        #expect(second?.suggestion == "dlq list" && second?.help == "sluice dlq --help")
        #expect(#expect(throws: UsageError.self) { try find("dlq", "--json", "list") }?.message.contains("list, drop") == true)
    }
}
