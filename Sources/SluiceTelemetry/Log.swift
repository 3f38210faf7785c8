import Glibc

/// Structured lines in logfmt: a constant message, and what varies in fields.
///
/// A line is one `write`, so that lines of several threads never mix. Fields are only made when the level is on.
public struct Log: Sendable {
    /// A field's value; text, numbers and truth can be written as literals or interpolated.
    public typealias Fields = KeyValuePairs<String, LogValue>

    /// Lines below it are not written; nil: none are.
    public let level: LogLevel?
    private let sink: @Sendable (String) -> Void
    private let clock: @Sendable () -> Int64

    /// Writes lines of `level` and above to standard error.
    public init(level: LogLevel) { self.init(level: level, clock: Log.wallClock, sink: Log.standardError) }

    /// Writes lines through `sink`, each ended by a newline; `clock` gives microseconds since 1970.
    public init(level: LogLevel, clock: @escaping @Sendable () -> Int64, sink: @escaping @Sendable (String) -> Void) {
        self.level = level
        self.sink = sink
        self.clock = clock
    }

    private init() {
        level = nil
        sink = { _ in }
        clock = { 0 }
    }

    /// Writes nothing.
    public static let disabled = Log()

    public func debug(_ message: StaticString, _ fields: @autoclosure () -> Fields = [:]) { write(.debug, message, fields) }
    public func info(_ message: StaticString, _ fields: @autoclosure () -> Fields = [:]) { write(.info, message, fields) }
    public func warning(_ message: StaticString, _ fields: @autoclosure () -> Fields = [:]) { write(.warning, message, fields) }
    public func error(_ message: StaticString, _ fields: @autoclosure () -> Fields = [:]) { write(.error, message, fields) }

    /// Whether lines of a level are written.
    public func isOn(_ level: LogLevel) -> Bool { self.level.map { level >= $0 } ?? false }

    private func write(_ level: LogLevel, _ message: StaticString, _ fields: () -> Fields) {
        guard isOn(level) else { return }
        var line = "time="
        line += Log.timestamp(clock())
        line += " level=\(level) msg="
        Log.append("\(message)", to: &line)
        for (key, value) in fields() {
            line += " "
            line += key
            line += "="
            Log.append(value.text, to: &line)
        }
        line += "\n"
        sink(line)
    }

    /// Appends a value, quoted when it holds anything but plain visible characters; control characters are escaped, so that
    /// no text from outside can forge a line or drive a terminal.
    static func append(_ text: String, to line: inout String) {
        let plain =
            !text.isEmpty
            && text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value < 0x7F && $0 != "\"" && $0 != "=" && $0 != "\\" }
        if plain {
            line += text
            return
        }
        line += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": line += "\\\""
            case "\\": line += "\\\\"
            case "\n": line += "\\n"
            case "\r": line += "\\r"
            case "\t": line += "\\t"
            default:
                // Also C1 controls, line separators and the marks that turn the direction of writing.
                let hidden =
                    scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) || (0x2028...0x202E).contains(scalar.value)
                    || (0x2066...0x2069).contains(scalar.value)
                if hidden { line += "\\u{\(String(scalar.value, radix: 16))}" } else { line.unicodeScalars.append(scalar) }
            }
        }
        line += "\""
    }

    /// `2026-01-31T12:00:00.000Z`.
    static func timestamp(_ microseconds: Int64) -> String {
        var seconds = time_t(microseconds / 1_000_000)
        var parts = tm()
        guard gmtime_r(&seconds, &parts) != nil else { return "?" }
        func padded(_ number: Int, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let date = "\(padded(Int(parts.tm_year) + 1900, 4))-\(padded(Int(parts.tm_mon) + 1, 2))-\(padded(Int(parts.tm_mday), 2))"
        let time = "\(padded(Int(parts.tm_hour), 2)):\(padded(Int(parts.tm_min), 2)):\(padded(Int(parts.tm_sec), 2))"
        return "\(date)T\(time).\(padded(Int(microseconds / 1000 % 1000), 3))Z"
    }

    private static let wallClock: @Sendable () -> Int64 = {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
    }

    private static let standardError: @Sendable (String) -> Void = { line in
        var line = line
        line.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let written = Glibc.write(2, rest.baseAddress, rest.count)
                // A log that cannot be written must not stop the work: what is left of the line is given up.
                if written < 0 && errno == EINTR { continue }
                guard written > 0 else { return }
                rest = UnsafeRawBufferPointer(rebasing: rest[written...])
            }
        }
    }
}

/// A value in a log line.
public struct LogValue: Sendable, ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
    public let text: String
    public init(_ value: some CustomStringConvertible) { text = value.description }
    public init(stringLiteral value: String) { text = value }
    public init(integerLiteral value: Int) { text = String(value) }
    public init(booleanLiteral value: Bool) { text = value ? "true" : "false" }
}
