import CMalloc
import Glibc
import SluiceConfig
import SluiceCore

/// The command line: finds the command, runs it, and turns what it throws into a message and an exit code.
@main struct Sluice {
    static func main() async {
        cmalloc_tune()
        signal(SIGPIPE, SIG_IGN)
        exit(await run(Array(CommandLine.arguments.dropFirst())).rawValue)
    }

    static func run(_ arguments: [String]) async -> ExitCode {
        do {
            guard let name = arguments.first, !["help", "-h", "--help"].contains(name) else {
                Output.line(Help.overview)
                return arguments.isEmpty ? .usage : .success
            }
            guard let command = commands.first(where: { $0.name == name }) else {
                throw UsageError("unknown command \(name)", suggestion: Spelling.nearest(to: name, in: commands.map(\.name)))
            }
            let rest = Array(arguments.dropFirst())
            if rest.contains("--help") || rest.contains("-h") {
                Output.line(Help.text(command))
                return .success
            }
            return try await command.run(try Arguments(rest, command: command))
        } catch {
            return report(error)
        }
    }

    /// All commands, in the order of the help.
    static let commands: [Command] = [
        .run, .backfill, .validate, .simulate, .version,
    ]

    private static func report(_ error: any Error) -> ExitCode {
        switch error {
        case let error as UsageError:
            Output.problem(error.description)
            return .usage
        case let error as ConfigError:
            Output.problem(error.description)
            return .config
        case let error as SluiceError:
            Output.problem("error[\(error.code.rawValue)]: \(error.message)" + (error.mend.map { "\n  help: \($0)" } ?? ""))
            return ExitCode(error)
        case is CancellationError:
            return .interrupted
        default:
            Output.problem("error: \(error)")
            return .failure
        }
    }
}
