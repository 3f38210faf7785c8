public import SluiceSimulator

/// Runs a simulator for the length of a test.
@discardableResult
public func withSimulator<R>(_ options: SimulatorOptions, _ body: (Simulator, UInt16) async throws -> R) async throws -> R {
    let simulator = try Simulator(options)
    let port = try await simulator.start()
    do {
        let result = try await body(simulator, port)
        await simulator.stop()
        return result
    } catch {
        await simulator.stop()
        throw error
    }
}
