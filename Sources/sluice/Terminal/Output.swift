import Glibc

/// Where words go: data to standard output, everything else to standard error.
enum Output {
    /// Whether somebody looks at standard error.
    static let isTerminal = isatty(STDERR_FILENO) == 1 && getenv("CI") == nil
    /// Whether somebody looks at standard output.
    static let isOutputTerminal = isatty(STDOUT_FILENO) == 1

    /// A line of data.
    static func line(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }
    /// Data as it stands.
    static func data(_ text: String) { write(text, to: STDOUT_FILENO) }
    /// A line for the reader.
    static func note(_ text: String) { write(text + "\n", to: STDERR_FILENO) }
    /// What went wrong.
    static func problem(_ text: String) { note(text) }
    /// Control sequences and other things without a line of their own.
    static func terminal(_ text: String) { write(text, to: STDERR_FILENO) }

    private static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }

    /// Columns of the terminal; 80 when there is none.
    static var width: Int {
        var size = winsize()
        return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
    }
}
