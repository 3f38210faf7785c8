public import SluiceCore

/// What a request's body throws when it sends nothing with its lease: what was taken for it is given back, and the error comes back as it is.
public struct LeaseUnused: Error {
    public init() {}
}

/// How a request to an endpoint ended, as far as the endpoint is concerned.
enum Outcome: Sendable {
    case success
    /// Too much was asked for; the endpoint is fine.
    case split
    /// Refused for the rate.
    case throttled(retryAfter: Duration?)
    /// `congestion`: a sign that too much is under way. `retryAfter`: it asked to be left alone.
    case failed(kind: String, message: String, congestion: Bool, retryAfter: Duration?)
    case unauthorized(message: String)
    /// It says nothing about the endpoint: cancelled, or an error that trying again does not mend.
    case abandoned
    /// Nothing was sent.
    case unused

    /// Reads what a request's body has thrown.
    init(_ error: any Error, policy: RetryPolicy) {
        switch error {
        case is LeaseUnused: self = .unused
        case let error as HTTPFailure: self = Outcome(error)
        case let error as HTTPStatusError: self = Outcome(error, policy: policy)
        case let error as RateLimited: self = .throttled(retryAfter: error.retryAfter.map { min($0, policy.retryAfterCap) })
        case let error as SluiceError:
            switch error.class {
            case .split: self = .split
            case .retry, .endpoint:
                self = .failed(kind: error.code.rawValue, message: error.message, congestion: false, retryAfter: nil)
            case .pause, .deadLetter, .config, .data, .fatal: self = .abandoned
            }
        default: self = .abandoned
        }
    }

    private init(_ error: HTTPFailure) {
        switch error.phase {
        case .cancelled, .request: self = .abandoned
        case .tooLarge: self = .split
        case .timeout: self = .failed(kind: error.name, message: error.description, congestion: true, retryAfter: nil)
        default: self = .failed(kind: error.name, message: error.description, congestion: false, retryAfter: nil)
        }
    }

    private init(_ error: HTTPStatusError, policy: RetryPolicy) {
        let wait = policy.delay(retryAfter: error.retryAfter, date: error.date)
        switch error.status {
        case 429: self = .throttled(retryAfter: wait)
        case 401, 403: self = .unauthorized(message: error.description)
        case 413: self = .split
        default:
            let overloaded = [408, 503, 504, 529].contains(error.status)
            self = .failed(kind: "status_\(error.status)", message: error.description, congestion: overloaded, retryAfter: wait)
        }
    }

    /// The error as the pool's caller gets it: what the runtime acts on is a class.
    static func surfaced(_ error: any Error) -> any Error {
        if error is CancellationError { return error }
        if let failure = error as? HTTPFailure {
            switch failure.phase {
            case .tooLarge:
                return SluiceError(.responseTooLarge, .split, failure.message, mend: "ask for less in one request")
            case .request:
                return SluiceError(
                    .badRequest, .config, "sending a request: \(failure.message)", mend: "check the endpoint's url and headers")
            case .cancelled: return CancellationError()
            default: return failure
            }
        }
        if let status = error as? HTTPStatusError, status.status == 413 {
            return SluiceError(.responseTooLarge, .split, "the server says the request is too large", mend: "ask for less in one request")
        }
        return error
    }
}

extension SluiceError.Code {
    /// No endpoint can be asked; every one of them is listed with its last failure.
    public static let endpointsUnavailable = SluiceError.Code("endpoints_unavailable")
    /// No endpoint has come as far as the block that was asked for.
    public static let endpointsLagging = SluiceError.Code("endpoints_lagging")
    public static let responseTooLarge = SluiceError.Code("response_too_large")
    public static let badRequest = SluiceError.Code("bad_http_request")
}
