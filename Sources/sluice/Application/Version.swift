import SluiceCore

/// What this program is.
enum Version {
    static let text = ProgramVersion.text
}
