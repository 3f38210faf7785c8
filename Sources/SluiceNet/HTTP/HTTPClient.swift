import CCurl
public import SluiceCore

/// HTTP/1.1 and, over TLS, HTTP/2: one thread runs all transfers, connections are kept and reused, redirects are not followed.
///
/// A response is handed over whole, in the block it was received into. Nothing truncated ever passes as a body: a short
/// `Content-Length`, broken chunks and compressed streams without their end are failures.
public final class HTTPClient: Sendable {
    /// What the client has done so far.
    public struct Counters: Sendable, Hashable {
        public let requests: UInt64
        /// Connections that were opened.
        public let connections: UInt64
        /// Bytes of bodies as they came over the wire.
        public let receivedBytes: UInt64
    }

    // SAFETY: the shim guards the loop by its own mutex; the pointer is valid until deinit.
    private nonisolated(unsafe) let loop: OpaquePointer
    private let userAgent: String

    /// Starts the thread. Throws `SluiceError` of class `fatal` when the process has no thread or descriptor left.
    public init(userAgent: String = "sluice", idleConnections: Int = 128, receiveBuffer: Int = 128 * 1024) throws {
        guard let loop = ccurl_start(httpTransferDone, receiveBuffer, idleConnections) else {
            throw SluiceError(
                .httpClient, .fatal, "starting the http client: no thread or file descriptor to be had",
                mend: "raise the limits of processes and open files")
        }
        self.loop = loop
        self.userAgent = userAgent
    }

    deinit { ccurl_free(loop) }

    /// Sends a request and returns the whole response, whatever its status. Throws `HTTPFailure`; a cancelled task ends the
    /// transfer at once.
    public func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        let result = try await transfer(request)
        let body = try HTTPClient.body(of: result, cap: request.limits.responseBytes)
        return HTTPResponse(
            status: result.status, body: body, retryAfter: result.retryAfter, contentType: result.contentType, date: result.date)
    }

    /// Ends what is under way as cancelled and joins the thread. Requests sent afterwards fail as cancelled.
    public func shutdown() { ccurl_stop(loop) }

    public var counters: Counters {
        let counted = ccurl_count(loop)
        return Counters(requests: counted.requests, connections: counted.connections, receivedBytes: counted.received_bytes)
    }

    private func transfer(_ request: HTTPRequest) async throws -> TransferResult {
        if Task.isCancelled { throw HTTPFailure(.cancelled, "cancelled") }
        let lines = try headerLines(request)
        let id = ccurl_next_id(loop)
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let waiter = Unmanaged.passRetained(Waiter(continuation, content: request.content))
                submit(request, id: id, lines: lines, context: waiter.toOpaque())
                // The handler may have run before the request was there to be cancelled.
                if Task.isCancelled { ccurl_cancel(loop, id) }
            }
        } onCancel: {
            ccurl_cancel(loop, id)
        }
        if let failure = result.failure { throw failure }
        return result
    }

    private func submit(_ request: HTTPRequest, id: UInt64, lines: String, context: UnsafeMutableRawPointer) {
        let limits = request.limits
        request.method.withCString { method in
            request.url.withCString { url in
                lines.withCString { headers in
                    Self.withBody(of: request) { body in
                        // An empty body is a body too, as long as there is one.
                        var nothing: UInt8 = 0
                        withUnsafeBytes(of: &nothing) { empty in
                            let start = body.flatMap { $0.baseAddress ?? empty.baseAddress }
                            var plain = ccurl_request(
                                id: id, method: method, url: url, headers: headers, body: start, body_length: body?.count ?? 0,
                                body_stays: request.content.map { $0.count > 0 } ?? false, connect_ms: limits.connect.milliseconds,
                                first_byte_ms: limits.firstByte.milliseconds, total_ms: limits.total.milliseconds,
                                window_ms: limits.window.milliseconds, window_bytes: Int64(limits.bytesPerWindow),
                                cap: max(0, limits.responseBytes), context: context)
                            ccurl_submit(loop, &plain)
                        }
                    }
                }
            }
        }
    }

    private static func withBody(of request: HTTPRequest, _ use: (UnsafeRawBufferPointer?) -> Void) {
        if let content = request.content { return use(content.bytes) }
        guard let body = request.body else { return use(nil) }
        body.withUnsafeBytes { use($0) }
    }

    private func headerLines(_ request: HTTPRequest) throws -> String {
        var lines = "User-Agent: \(userAgent)\n"
        for (name, value) in request.headers {
            let clean =
                !name.isEmpty && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ":") }
                && value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }
            guard clean else { throw HTTPFailure(.request, "a header with a line break or another control character") }
            // Curl takes "Name:" as the wish to leave a header out; "Name;" is an empty one.
            lines += value.isEmpty ? "\(name);\n" : "\(name): \(value)\n"
        }
        let plain = !request.url.utf8.contains(0) && !request.method.isEmpty && request.method.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        guard plain else { throw HTTPFailure(.request, "a malformed url or method") }
        return lines
    }

    /// The body as a buffer; decoded here, on the task that asked, so that the loop thread only moves bytes.
    private static func body(of result: TransferResult, cap: Int) throws -> Buffer {
        let raw = Buffer(adopting: result.body, count: result.length)
        if result.length == 0 { return Buffer(count: 0, padding: Int(CCURL_PADDING)) { _ in } }
        if result.encoding == Int32(CCURL_IDENTITY) { return raw }
        var decoded: UnsafeMutableRawPointer?
        var length = 0
        let code = withExtendedLifetime(raw) {
            ccurl_decode(result.encoding, raw.bytes.baseAddress, raw.count, max(0, cap), &decoded, &length)
        }
        switch Int(code) {
        case CCURL_OK: return Buffer(adopting: decoded, count: length)
        case CCURL_TOO_LARGE: throw HTTPFailure(.tooLarge, "the decoded response is larger than \(cap) bytes")
        default: throw HTTPFailure(.decode, "the response's content coding is unknown, broken or ends early")
        }
    }
}

/// What the loop thread hands back.
private struct TransferResult: @unchecked Sendable {
    // SAFETY: the body is owned by whoever holds the result, and that is one task after the other.
    let failure: HTTPFailure?
    let status: Int
    let encoding: Int32
    let body: UnsafeMutableRawPointer?
    let length: Int
    let retryAfter: String?
    let contentType: String?
    let date: String?

    init(_ result: inout ccurl_result) {
        failure = HTTPFailure(result: &result)
        status = Int(result.status)
        encoding = result.encoding
        body = result.body
        length = result.length
        retryAfter = text(&result.retry_after)
        contentType = text(&result.content_type)
        date = text(&result.date)
    }
}

private final class Waiter {
    let continuation: CheckedContinuation<TransferResult, Never>
    /// Held until nobody reads it any more: the loop says that it is done when the transfer is off its hands.
    private let content: Buffer?

    init(_ continuation: CheckedContinuation<TransferResult, Never>, content: Buffer?) {
        self.continuation = continuation
        self.content = content
    }
}

private func httpTransferDone(_ result: UnsafeMutablePointer<ccurl_result>) {
    guard let context = result.pointee.context else { return }
    Unmanaged<Waiter>.fromOpaque(context).takeRetainedValue().continuation.resume(returning: TransferResult(&result.pointee))
}

/// The text in a fixed array of C characters; nil when it is empty.
private func text<T>(_ characters: inout T) -> String? {
    withUnsafeBytes(of: &characters) { bytes in
        bytes.first == 0 ? nil : String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
}

extension HTTPFailure {
    fileprivate init?(result: inout ccurl_result) {
        let phase: Phase
        switch Int(result.phase) {
        case CCURL_OK: return nil
        case CCURL_RESOLVE: phase = result.timed_out ? .timeout(.resolve) : .resolve
        case CCURL_CONNECT: phase = result.timed_out ? .timeout(.connect) : .connect
        case CCURL_TLS: phase = result.timed_out ? .timeout(.tls) : .tls
        case CCURL_SEND: phase = result.timed_out ? .timeout(.send) : .send
        case CCURL_FIRST_BYTE: phase = result.timed_out ? .timeout(.firstByte) : .firstByte
        case CCURL_DECODE: phase = .decode
        case CCURL_TOO_LARGE: phase = .tooLarge
        case CCURL_CANCELLED: phase = .cancelled
        case CCURL_BAD_REQUEST: phase = .request
        default: phase = result.timed_out ? .timeout(.receive) : .receive
        }
        self.init(phase, text(&result.message) ?? "no reason given")
    }
}

extension Duration {
    /// Whole milliseconds, at least 1, at most about 24 days (curl counts in longs that it doubles).
    fileprivate var milliseconds: Int64 { min(max(1, components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000), 1 << 31) }
}

extension SluiceError.Code {
    public static let httpClient = SluiceError.Code("http_client")
}
