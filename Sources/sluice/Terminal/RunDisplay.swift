import SluiceConfig
import SluiceCore
import SluiceFlow
import SluiceStore

/// Shows how the pipelines of a run are doing, and keeps the status that other processes read.
actor RunDisplay {
    private let runners: [PipelineRunner]
    private let configuration: SluiceConfiguration
    private let range: ClosedRange<UInt64>?
    private let quiet: Bool
    private let started = ContinuousClock.now
    private var failures: [String: any Error] = [:]

    init(runners: [PipelineRunner], configuration: SluiceConfiguration, range: ClosedRange<UInt64>?, quiet: Bool) {
        self.runners = runners
        self.configuration = configuration
        self.range = range
        self.quiet = quiet
    }

    /// A pipeline ended with an error.
    func failed(_ runner: PipelineRunner, _ error: any Error) { failures[runner.definition.name] = error }

    /// Shows until cancelled.
    func show(_ store: StateStore) async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(10))
            if !quiet { for runner in runners { line(runner) } }
        }
    }

    /// Shows the end.
    func finish(_ store: StateStore) async {
        guard !quiet else { return }
        for runner in runners { line(runner) }
    }

    private func line(_ runner: PipelineRunner) {
        let now = runner.progress.snapshot
        let seconds = (ContinuousClock.now - started).seconds
        Output.note("\(runner.definition.name): head \(now.head?.latest ?? 0) position \(now.emitted?.number ?? 0) blocks/s \(Double(now.blocks) / seconds) rows \(now.rows) durable \(now.durable.mapValues(\.number))")
    }
}
