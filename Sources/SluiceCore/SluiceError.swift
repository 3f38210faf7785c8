/// An error that says what happened, where, and what mends it. `description` is safe to show and to log: no secrets, no
/// payloads. `debugDescription` adds the detail.
public struct SluiceError: Error, Sendable, CustomStringConvertible, CustomDebugStringConvertible {
    /// A stable name, open for extension: each module adds its own as static members.
    public struct Code: RawRepresentable, Hashable, Sendable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public init(_ rawValue: String) { self.rawValue = rawValue }
    }

    /// What the runtime does about it.
    public enum Class: String, Sendable {
        /// Passing: try again, here or elsewhere.
        case retry
        /// The request asked for too much: split it and try the parts.
        case split
        /// This endpoint is at fault: ask another.
        case endpoint
        /// Only the operator can mend it: pause, keep everything.
        case pause
        /// This row or payload is at fault: keep it as a dead letter, go on.
        case deadLetter
        /// The configuration is wrong.
        case config
        /// Input data is wrong (a malformed recorded file, a chain that contradicts itself).
        case data
        /// A bug or a broken invariant.
        case fatal
    }

    public let code: Code
    public let `class`: Class
    /// Lower case, no full stop: what was being done, to what, and what went wrong.
    public let message: String
    /// What the reader can do about it.
    public let mend: String?
    /// More, for a log at debug level or an evidence file. May hold payload; never secrets.
    public let detail: String?

    public init(_ code: Code, _ class: Class, _ message: String, mend: String? = nil, detail: String? = nil) {
        self.code = code
        self.class = `class`
        self.message = message
        self.mend = mend
        self.detail = detail
    }

    public var description: String { mend.map { "\(message) (\($0))" } ?? message }
    public var debugDescription: String { "[\(code.rawValue), \(`class`.rawValue)] \(description)" + (detail.map { "\n\($0)" } ?? "") }
}
