import Glibc
import SluiceCommand
import SluiceCore

/// Where words go: data to standard output, everything else to standard error.
enum Output {
    /// Whether somebody looks at standard error.
    static let isTerminal = isatty(STDERR_FILENO) == 1 && getenv("CI") == nil && variable("TERM") != "dumb"
    /// Whether somebody looks at standard output.
    static let isOutputTerminal = isatty(STDOUT_FILENO) == 1

    /// Colour for standard error.
    static let style = Style(isColoured: Style.wantsColour(isTerminal: isTerminal, variable: variable))
    /// Colour for standard output.
    static let outputStyle = Style(isColoured: Style.wantsColour(isTerminal: isOutputTerminal, variable: variable))

    static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// A line of data.
    static func line(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }
    /// Data as it stands.
    static func data(_ text: String) { write(text, to: STDOUT_FILENO) }
    /// A line for the reader.
    static func note(_ text: String) { write(text + "\n", to: STDERR_FILENO) }
    /// What went wrong; the first word in red where colour is wanted.
    static func problem(_ text: String) {
        guard style.isColoured, text.hasPrefix("error"), let colon = text.firstIndex(of: ":") else { return note(text) }
        note(style.red(style.bold(String(text[..<colon]))) + text[colon...])
    }
    /// Control sequences and other things without a line of their own.
    static func terminal(_ text: String) { write(text, to: STDERR_FILENO) }

    /// Writes all of a text; returns what went wrong.
    @discardableResult
    static func write(_ text: String, to descriptor: Int32) -> SluiceError? {
        var text = text
        return text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return failure(errno) }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
            return nil
        }
    }

    private static func failure(_ code: Int32) -> SluiceError {
        // Whoever read has seen enough (`| head`).
        if code == EPIPE { return SluiceError(.outputClosed, .fatal, "nobody reads the output any more") }
        return SluiceError(
            SluiceError.Code("output"), .pause, "writing the output: \(String(cString: strerror(code)).lowercased())",
            mend: "check where it goes")
    }

    /// Columns of the terminal; 80 when there is none.
    static var width: Int { size.map { Int($0.ws_col) } ?? 80 }
    /// Lines of the terminal; 24 when there is none.
    static var height: Int { size.map { Int($0.ws_row) } ?? 24 }

    private static var size: winsize? {
        var size = winsize()
        return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 && size.ws_row > 0 ? size : nil
    }
}

extension SluiceError.Code {
    /// The reader of the output is gone.
    static let outputClosed = Self("output_closed")
}
