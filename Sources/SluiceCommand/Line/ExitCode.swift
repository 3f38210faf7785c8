public import SluiceCore

/// What the process says at its end. Documented in `docs/reference/exit-codes.md`; the numbers are those of sysexits where it has one.
public enum ExitCode: Int32, CaseIterable {
    case success = 0
    case failure = 1
    case usage = 2
    case data = 65
    case unavailable = 69
    case reorgBeyondFinality = 76
    case tryLater = 75
    case config = 78
    case interrupted = 130
    case terminated = 143

    /// The code for an error, by its class.
    public init(_ error: SluiceError) {
        if error.code.rawValue == "reorg_beyond_finality" {
            self = .reorgBeyondFinality
            return
        }
        self =
            switch error.class {
            case .retry, .endpoint, .split: .unavailable
            case .pause: .tryLater
            case .config: .config
            case .data, .deadLetter: .data
            case .fatal: .failure
            }
    }

    /// One line for the documentation.
    public var doc: String {
        switch self {
        case .success: "done"
        case .failure: "something went wrong that is not the operator's to mend: a bug, or a broken invariant"
        case .usage: "the command line was not understood"
        case .data: "input data is wrong: a malformed recorded file, a chain that contradicts itself"
        case .unavailable: "no endpoint could be reached, or none could give what was asked for"
        case .reorgBeyondFinality: "the chain changed below what was final; nothing was touched"
        case .tryLater: "a store refuses (locked, full, read-only, without permission): mend that and run the same command again"
        case .config: "the configuration is wrong, or asks for what cannot be (a wrong chain, a range beyond the head)"
        case .interrupted: "stopped by Ctrl-C before the end; what was read is stored"
        case .terminated: "stopped by SIGTERM before the end; what was read is stored"
        }
    }
}
