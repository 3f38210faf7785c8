import SluiceCatalog
import SluiceConfig
import SluiceCore
import SluiceFlow

extension Application {
    /// Lets the shared state hold what some pipelines are configured to look at.
    func keepConfigured(_ pipelines: [PipelineSettings]) async throws {
        let configured = ConfiguredState(state.state, memory: own)
        for pipeline in pipelines {
            for told in pipeline.configured {
                guard let shape = told.register.stateKey else { continue }
                try await configured.put(told.entries, under: shape.key(of: pipeline.name))
            }
        }
    }
}
