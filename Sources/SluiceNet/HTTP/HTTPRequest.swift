public import SluiceCore

/// One HTTP request and the limits it is held to.
public struct HTTPRequest: Sendable {
    public var method: String
    public var url: String
    /// Names and values; `Content-Type` is the caller's, `Accept-Encoding` and `Expect` are the client's.
    public var headers: [(name: String, value: String)]
    /// nil: none. Copied once when the request is sent.
    public var body: [UInt8]?
    /// A body that is sent from where it lies, without a copy: for what is large. It takes the place of `body`.
    public var content: Buffer?
    public var limits: HTTPLimits

    public init(
        method: String = "GET", url: String, headers: [(name: String, value: String)] = [], body: [UInt8]? = nil,
        content: Buffer? = nil, limits: HTTPLimits = HTTPLimits()
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.content = content
        self.limits = limits
    }
}

/// How long each phase of a request may take, and how large its response may be. Times are kept to about 50 ms.
public struct HTTPLimits: Sendable, Hashable {
    /// Resolving, connecting and TLS together.
    public var connect: Duration
    /// From the connection being ready to the first line of the response.
    public var firstByte: Duration
    /// Everything.
    public var total: Duration
    /// Bytes that a response must bring in each window once it has begun.
    public var bytesPerWindow: Int
    public var window: Duration
    /// Most bytes of a response body, decoded.
    public var responseBytes: Int

    public init(
        connect: Duration = .seconds(10), firstByte: Duration = .seconds(30), total: Duration = .seconds(120),
        bytesPerWindow: Int = 10 * 1024, window: Duration = .seconds(10), responseBytes: Int = 256 << 20
    ) {
        self.connect = connect
        self.firstByte = firstByte
        self.total = total
        self.bytesPerWindow = bytesPerWindow
        self.window = window
        self.responseBytes = responseBytes
    }
}
