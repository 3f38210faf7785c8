/// Colour and weight, where they are wanted. Words carry the meaning; colour only repeats it.
public struct Style: Sendable {
    public let isColoured: Bool

    public init(isColoured: Bool) { self.isColoured = isColoured }

    /// No control sequences at all.
    public static let plain = Style(isColoured: false)

    /// Whether colour is wanted: `NO_COLOR` forbids, `CLICOLOR_FORCE` and `FORCE_COLOR` demand, `TERM=dumb` cannot.
    public static func wantsColour(isTerminal: Bool, variable: (String) -> String?) -> Bool {
        func isSet(_ name: String) -> Bool { variable(name).map { !$0.isEmpty } ?? false }
        if isSet("NO_COLOR") { return false }
        if ["CLICOLOR_FORCE", "FORCE_COLOR"].contains(where: { isSet($0) && variable($0) != "0" }) { return true }
        return isTerminal && variable("TERM") != "dumb" && variable("CLICOLOR") != "0"
    }

    public func bold(_ text: String) -> String { wrapped(text, "1") }
    public func dim(_ text: String) -> String { wrapped(text, "2") }
    public func red(_ text: String) -> String { wrapped(text, "31") }
    public func green(_ text: String) -> String { wrapped(text, "32") }
    public func yellow(_ text: String) -> String { wrapped(text, "33") }
    public func blue(_ text: String) -> String { wrapped(text, "36") }

    private func wrapped(_ text: String, _ code: String) -> String { isColoured ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text }
}
