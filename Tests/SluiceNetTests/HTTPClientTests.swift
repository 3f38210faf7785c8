import SluiceCore
import SluiceNet
import SluiceTestKit
import Testing

@Suite(.timeLimit(.minutes(1))) struct HTTPClientTests {
    @Test("a request reaches the server as it was made, and the response comes back whole")
    func roundTrip() async throws {
        let server = try ScriptedServer { request in
            let seen =
                request.method == "POST" && request.path == "/rpc?x=1" && request.headers["x-key"] == "k1"
                && request.headers["expect"] == nil && request.headers["user-agent"] == "sluice" && request.headers["x-empty"] == ""
                && request.headers["accept-encoding"]?.contains("zstd") == true
            return .response(
                seen ? 200 : 400, headers: ["Content-Type: application/json", "Date: Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After: 7"],
                body: request.body)
        }
        let client = try HTTPClient()
        let body = Array("{\"id\":1}".utf8)
        let response = try await client.send(
            HTTPRequest(method: "POST", url: server.url + "/rpc?x=1", headers: [("X-Key", "k1"), ("X-Empty", "")], body: body))
        #expect(response.status == 200)
        #expect(contents(response.body) == body)
        #expect(response.contentType == "application/json")
        #expect(response.date == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(response.retryAfter == "7")
    }

    @Test("64 zero bytes are readable behind a body", arguments: [0, 1, 100, 640_000])
    func padding(size: Int) async throws {
        let server = try ScriptedServer { _ in .response(body: [UInt8](repeating: 7, count: size)) }
        let response = try await HTTPClient().send(HTTPRequest(url: server.url))
        #expect(response.body.count == size)
        withExtendedLifetime(response.body) {
            let bytes = response.body.bytes
            let behind = UnsafeRawBufferPointer(start: bytes.baseAddress.map { $0 + size }, count: 64)
            #expect(behind.count == 64 && behind.allSatisfy { $0 == 0 })
            #expect(bytes.allSatisfy { $0 == 7 })
        }
    }

    @Test("one connection serves requests that come one after the other")
    func keepAlive() async throws {
        let server = try ScriptedServer { _ in .response(body: [1, 2, 3]) }
        let client = try HTTPClient()
        for _ in 0..<20 { _ = try await client.send(HTTPRequest(method: "POST", url: server.url, body: [0])) }
        #expect(server.connections == 1)
        #expect(server.requests == 20)
        #expect(client.counters.requests == 20)
        #expect(client.counters.connections == 1)
        #expect(client.counters.receivedBytes == 60)
    }

    @Test("a connection that the server closed while idle is replaced without an error")
    func staleConnection() async throws {
        let server = try ScriptedServer { request in .response(body: [9]) + (request.connection == 0 ? [.close] : []) }
        let client = try HTTPClient()
        for _ in 0..<3 { #expect(try await client.send(HTTPRequest(method: "POST", url: server.url, body: [1])).status == 200) }
    }

    @Test("chunked bodies and bodies that end with the connection come whole")
    func framings() async throws {
        let server = try ScriptedServer { request in
            request.path == "/chunked"
                ? .text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
                : .text("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcdefg") + [.close]
        }
        let client = try HTTPClient()
        for path in ["/chunked", "/close"] {
            #expect(contents(try await client.send(HTTPRequest(url: server.url + path)).body) == Array("abcdefg".utf8))
        }
    }

    @Test("redirects are not followed", .timeLimit(.minutes(1)))
    func redirect() async throws {
        let server = try ScriptedServer { _ in .response(302, headers: ["Location: /elsewhere"]) }
        #expect(try await HTTPClient().send(HTTPRequest(url: server.url)).status == 302)
        #expect(server.requests == 1)
    }

    static let codings: [(name: String, bytes: [UInt8])] = [
        ("gzip", Fixtures.gzip), ("zstd", Fixtures.zstd), ("zstd", Fixtures.zstdOfUnknownSize), ("br", Fixtures.brotli),
    ]

    @Test("compressed bodies are decoded", arguments: codings)
    func decoding(coding: (name: String, bytes: [UInt8])) async throws {
        let server = try ScriptedServer { _ in .response(headers: ["Content-Encoding: \(coding.name)"], body: coding.bytes) }
        let response = try await HTTPClient().send(HTTPRequest(url: server.url))
        #expect(contents(response.body) == Fixtures.text)
    }

    @Test("a compressed body that is cut anywhere is an error, though its length is right", arguments: codings)
    func truncatedCoding(coding: (name: String, bytes: [UInt8])) async throws {
        let server = try ScriptedServer { request in
            let cut = Int(request.path.dropFirst()) ?? 0
            return .response(headers: ["Content-Encoding: \(coding.name)"], body: Array(coding.bytes.prefix(cut)))
        }
        let client = try HTTPClient()
        for cut in 1..<coding.bytes.count {
            let failure = await #expect(throws: HTTPFailure.self) { try await client.send(HTTPRequest(url: server.url + "/\(cut)")) }
            #expect(failure?.phase == .decode, "cut at \(cut)")
        }
    }

    @Test("a coding that is not known, or stacked ones, are errors", arguments: ["compress", "gzip, zstd"])
    func unknownCoding(name: String) async throws {
        let server = try ScriptedServer { _ in .response(headers: ["Content-Encoding: \(name)"], body: Fixtures.gzip) }
        let failure = await #expect(throws: HTTPFailure.self) { try await HTTPClient().send(HTTPRequest(url: server.url)) }
        #expect(failure?.phase == .decode)
    }

    @Test("the cap counts decoded bytes", arguments: codings)
    func cap(coding: (name: String, bytes: [UInt8])) async throws {
        let server = try ScriptedServer { _ in .response(headers: ["Content-Encoding: \(coding.name)"], body: coding.bytes) }
        let client = try HTTPClient()
        let fits = HTTPRequest(url: server.url, limits: HTTPLimits(responseBytes: Fixtures.text.count))
        #expect(try await client.send(fits).body.count == Fixtures.text.count)
        let exceeds = HTTPRequest(url: server.url, limits: HTTPLimits(responseBytes: Fixtures.text.count - 1))
        let failure = await #expect(throws: HTTPFailure.self) { try await client.send(exceeds) }
        #expect(failure?.phase == .tooLarge)
    }

    @Test("500 requests at once all get their own answer")
    func concurrent() async throws {
        let server = try ScriptedServer { request in .response(body: Array(request.path.utf8)) }
        let client = try HTTPClient()
        let good = await withTaskGroup(of: Bool.self) { group in
            for index in 0..<500 {
                group.addTask {
                    let response = try? await client.send(HTTPRequest(url: server.url + "/\(index)"))
                    return response.map { contents($0.body) == Array("/\(index)".utf8) } ?? false
                }
            }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(good == 500)
    }
}
