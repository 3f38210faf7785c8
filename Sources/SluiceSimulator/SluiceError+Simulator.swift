public import SluiceCore

extension SluiceError.Code {
    /// A command that the simulated chain cannot follow.
    public static let simulatorCommand = Self("simulator_command")
    /// The simulator could not listen or start its thread.
    public static let simulatorStart = Self("simulator_start")
    /// A recorded file could not be read, or is not what it should be.
    public static let recordedFile = Self("recorded_file")
}
