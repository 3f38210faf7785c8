import SluiceChain
import SluiceConfig

/// Addresses as configurations write them.
enum OptionAddress {
    /// Most addresses that a line names.
    private static let shown = 8

    /// The address; nil when it is none, which is reported then.
    static func read(_ value: ConfigValue, _ path: String, _ report: (OptionProblem) -> Void) -> Address? {
        guard let text = value.string else { return nil }
        if let address = Address(hex: text) { return address }
        let isNear = text.hasPrefix("0x") && text.dropFirst(2).utf8.allSatisfy(isDigit)
        report(
            OptionProblem(
                value.mark, path, "no address" + (isNear ? ": \(text.utf8.count - 2) digits instead of 40" : ""),
                "write 0x and 40 hex digits"))
        return nil
    }

    /// The first of some addresses, and how many more there are.
    static func list(_ names: [String]) -> String {
        if names.isEmpty { return "no address yet" }
        return names.prefix(shown).joined(separator: ", ") + (names.count > shown ? " and \(names.count - shown) more" : "")
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) || (97...102).contains(byte | 0x20) }
}
