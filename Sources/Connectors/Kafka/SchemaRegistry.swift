import SluiceConfig
import SluiceCore
import SluiceNet

/// Confluent's schema registry, as far as a writer needs it.
struct SchemaRegistry: Sendable {
    let url: Secret
    let shown: String
    let client: HTTPClient

    /// Registers a schema under a subject, or finds it there; returns its id.
    func register(_ schema: String, subject: String) async throws -> UInt32 {
        var base = url.reveal()
        while base.hasSuffix("/") { base.removeLast() }
        let doing = "registering schema \(subject) at \(shown)"
        let response: HTTPResponse
        do {
            response = try await client.send(
                HTTPRequest(
                    method: "POST", url: "\(base)/subjects/\(subject)/versions",
                    headers: [
                        ("Content-Type", "application/vnd.schemaregistry.v1+json"), ("Accept", "application/vnd.schemaregistry.v1+json"),
                    ],
                    body: Array("{\"schema\":\(schema.jsonQuoted)}".utf8),
                    limits: HTTPLimits(total: .seconds(30), responseBytes: 1 << 20)))
        } catch let failure as HTTPFailure {
            throw SluiceError(.kafkaRegistry, .retry, "\(doing): \(failure)", mend: "check that the registry runs and can be reached")
        }
        let text = String(decoding: response.body.bytes, as: UTF8.self)
        var reader = JSONTreeReader(text, reading: "the registry's answer", code: .kafkaRegistry, remedy: "")
        let answer = try? reader.document()
        let said = answer?["message"]?.text.map { ": " + $0.prefix(300) } ?? ""
        switch response.status {
        case 200...299:
            guard let id = answer?["id"]?.whole.flatMap({ UInt32(exactly: $0) }) else {
                throw SluiceError(.kafkaRegistry, .pause, "\(doing): the answer has no id", mend: "check schema_registry: is it one?")
            }
            return id
        case 401, 403:
            throw SluiceError(.kafkaRegistry, .config, "\(doing): refused\(said)", mend: "check user and password in schema_registry")
        case 409, 422:
            throw SluiceError(
                .kafkaRegistry, .pause, "\(doing): not compatible with what is there\(said)",
                mend: "change the subject's compatibility, or write to another topic")
        case 404: throw SluiceError(.kafkaRegistry, .config, "\(doing): not found\(said)", mend: "check schema_registry: is it one?")
        default:
            throw SluiceError(.kafkaRegistry, .retry, "\(doing): status \(response.status)\(said)", mend: "see the registry's log")
        }
    }
}
