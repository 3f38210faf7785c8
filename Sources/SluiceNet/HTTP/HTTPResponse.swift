public import SluiceCore

/// A whole response, its body decoded.
public struct HTTPResponse: Sendable {
    public let status: Int
    /// The body, as one block; at least 64 zero bytes are readable behind it.
    public let body: Buffer
    /// The few headers that are kept; nil when they did not come.
    public let retryAfter: String?
    public let contentType: String?
    public let date: String?

    public init(status: Int, body: Buffer, retryAfter: String? = nil, contentType: String? = nil, date: String? = nil) {
        self.status = status
        self.body = body
        self.retryAfter = retryAfter
        self.contentType = contentType
        self.date = date
    }

    /// The body as text; what is no UTF-8 is replaced.
    public var text: String { withExtendedLifetime(body) { String(decoding: body.bytes, as: UTF8.self) } }

    /// The response itself when its status is 2xx; throws `HTTPStatusError` for any other.
    public func checked() throws -> HTTPResponse {
        guard !(200...299).contains(status) else { return self }
        throw HTTPStatusError(status: status, retryAfter: retryAfter, date: date)
    }
}

/// A response that is none that was hoped for: the status says why.
public struct HTTPStatusError: Error, Sendable, Hashable, CustomStringConvertible {
    public let status: Int
    /// The `Retry-After` header as it came: seconds or an HTTP date.
    public let retryAfter: String?
    /// The `Date` header, against which a date in `Retry-After` is read.
    public let date: String?

    public init(status: Int, retryAfter: String? = nil, date: String? = nil) {
        self.status = status
        self.retryAfter = retryAfter
        self.date = date
    }

    public var description: String { "the server answered with status \(status)" }
}
