import CMalloc
import Glibc
import SluiceCommand
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
                arguments.isEmpty ? Output.note(Help.overview(commands)) : Output.line(Help.overview(commands))
                return arguments.isEmpty ? .usage : .success
            }
            let command: Command
            let rest: [String]
            switch try Command.find(arguments, among: commands) {
            case .command(let found, let words)?: (command, rest) = (found, words)
            case .group(let group)?:
                arguments.count == 1 ? Output.note(Help.group(group)) : Output.line(Help.group(group))
                return arguments.count == 1 ? .usage : .success
            case nil: throw UsageError("unknown command \(name)")
            }
            if rest.prefix(while: { $0 != "--" }).contains(where: { $0 == "--help" || $0 == "-h" }) {
                Output.line(Help.text(command))
                return .success
            }
            return try await command.perform(try Arguments(rest, command: command))
        } catch {
            return report(error)
        }
    }

    /// All commands, in the order of the help.
    static let commands: [Command] = [
        .initialise, .run, .backfill, .backtest, .query, .export, .status, .top, .deadLetterList, .deadLetterShow, .deadLetterReplay,
        .deadLetterDrop, .addressList, .addressAdd, .addressRemove,
        .migratePlan, .migrateApply, .migrateStatus, .validate,
        .plan, .registers, .simulate, .version, .docs,
    ]

    private static func report(_ error: any Error) -> ExitCode {
        switch error {
        case let error as UsageError:
            Output.problem(error.description)
            return .usage
        case let error as ConfigError:
            Output.problem("error[invalid_configuration]: the configuration cannot be used")
            Output.note(
                error.description + "\n  help: sluice validate lists all problems; docs/reference/configuration.md says what is known")
            return .config
        case let error as SluiceError:
            Output.problem("error[\(error.code.rawValue)]: \(error.message)" + (error.mend.map { "\n  help: \($0)" } ?? ""))
            return ExitCode(error)
        case is CancellationError:
            Output.problem("error[interrupted]: stopped before the end\n  help: the same command starts again")
            return .interrupted
        default:
            Output.problem("error[unexpected]: \(error)\n  help: this is a bug in Sluice; report it with this text")
            return .failure
        }
    }
}
