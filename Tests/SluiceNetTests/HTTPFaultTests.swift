import Glibc
import SluiceCore
import SluiceNet
import SluiceTestKit
import Testing

/// Servers that misbehave, in every phase of a request.
@Suite(.timeLimit(.minutes(1))) struct HTTPFaultTests {
    private func phase(_ request: HTTPRequest, _ client: HTTPClient) async -> HTTPFailure.Phase? {
        do {
            _ = try await client.send(request)
            return nil
        } catch {
            return (error as? HTTPFailure)?.phase
        }
    }

    @Test("a response cut at any byte is an error, never a short body")
    func truncation() async throws {
        let response = Array("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello, world".utf8)
        let chunked = Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n".utf8)
        let server = try ScriptedServer { request in
            let parts = request.path.split(separator: "/")
            return [.send(Array((parts[0] == "c" ? chunked : response).prefix(Int(parts[1]) ?? 0))), .close]
        }
        let client = try HTTPClient()
        for (name, count) in [("l", response.count), ("c", chunked.count)] {
            for cut in 0..<count {
                // The last line end of a chunked body carries nothing: without it the body may pass, but whole.
                if let body = try? await client.send(HTTPRequest(url: "\(server.url)/\(name)/\(cut)")).body {
                    #expect(cut == count - 1 && name == "c" && contents(body) == Array("hello, world".utf8), "\(name) cut at \(cut)")
                }
            }
            let phase = await phase(HTTPRequest(url: "\(server.url)/\(name)/\(count / 2)"), client)
            #expect(phase == .firstByte || phase == .receive)
            #expect(contents(try await client.send(HTTPRequest(url: "\(server.url)/\(name)/\(count)")).body) == Array("hello, world".utf8))
        }
    }

    @Test(
        "what is no HTTP, or broken HTTP, is an error",
        arguments: [
            "rubbish\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nabc",
        ])
    func malformed(text: String) async throws {
        let server = try ScriptedServer { _ in .text(text) + [.close] }
        #expect(await phase(HTTPRequest(url: server.url), try HTTPClient()) != nil)
    }

    @Test("a server that stalls is given up in the phase where it does")
    func stalls() async throws {
        let server = try ScriptedServer { request in
            switch request.path {
            case "/first": [.stall]
            case "/line": .text("HTTP/1.1 200") + [.stall]
            case "/head": .text("HTTP/1.1 200 OK\r\nContent-") + [.stall]
            default: .text("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc") + [.stall]
            }
        }
        let client = try HTTPClient()
        let limits = HTTPLimits(connect: .seconds(5), firstByte: .milliseconds(100), total: .seconds(20), window: .milliseconds(100))
        for (path, step) in [("/first", HTTPFailure.Step.firstByte), ("/line", .firstByte), ("/head", .receive), ("/body", .receive)] {
            #expect(await phase(HTTPRequest(url: server.url + path, limits: limits), client) == .timeout(step), "\(path)")
        }
        let total = HTTPLimits(total: .milliseconds(100))
        #expect(await phase(HTTPRequest(url: server.url + "/body", limits: total), client) == .timeout(.receive))
        #expect(await phase(HTTPRequest(url: server.url + "/first", limits: total), client) == .timeout(.firstByte))
    }

    @Test("a response that drips is given up, one that flows in time is not")
    func slowLoris() async throws {
        let server = try ScriptedServer { request in
            let drop = [UInt8](repeating: 1, count: request.path == "/drip" ? 1 : 100)
            let drops = (0..<20).flatMap { _ in [ScriptedServer.Step.wait(.milliseconds(20)), .send(drop)] }
            return .text("HTTP/1.1 200 OK\r\nContent-Length: \(20 * drop.count)\r\n\r\n") + drops
        }
        let client = try HTTPClient()
        let limits = HTTPLimits(bytesPerWindow: 50, window: .milliseconds(150))
        #expect(await phase(HTTPRequest(url: server.url + "/drip", limits: limits), client) == .timeout(.receive))
        #expect(await phase(HTTPRequest(url: server.url + "/flow", limits: limits), client) == nil)
    }

    @Test("a port where nobody listens is a connect failure, a name without address a resolve failure")
    func unreachable() async throws {
        let server = try ScriptedServer { _ in [.close] }
        let url = server.url
        server.stop()
        let client = try HTTPClient()
        #expect(await phase(HTTPRequest(url: url), client) == .connect)
        #expect(await phase(HTTPRequest(url: "gopher://127.0.0.1/"), client) == .request)
        #expect(await phase(HTTPRequest(url: url, headers: [("X", "a\r\nEvil: 1")]), client) == .request)
    }

    @Test("TLS with a server that has none fails in the TLS phase")
    func notTLS() async throws {
        // The hello holds no blank line, so the script never answers.
        let server = try ScriptedServer { _ in [.close] }
        let url = "https://127.0.0.1:\(server.port)"
        let limits = HTTPLimits(connect: .milliseconds(200))
        #expect(await phase(HTTPRequest(url: url, limits: limits), try HTTPClient()) == .timeout(.tls))
    }

    @Test("a reset connection is an error")
    func reset() async throws {
        let server = try ScriptedServer { _ in
            .text("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc") + [.wait(.milliseconds(20)), .reset]
        }
        #expect(await phase(HTTPRequest(url: server.url), try HTTPClient()) == .receive)
    }

    @Test("a declared length beyond the cap is refused before the body, an undeclared one as it grows")
    func cap() async throws {
        let server = try ScriptedServer { request in
            request.path == "/declared"
                ? .text("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n") + [.stall]
                : .text("HTTP/1.1 200 OK\r\n\r\n") + [.send([UInt8](repeating: 1, count: 300_000)), .close]
        }
        let client = try HTTPClient()
        let limits = HTTPLimits(responseBytes: 200_000)
        for path in ["/declared", "/grown"] {
            #expect(await phase(HTTPRequest(url: server.url + path, limits: limits), client) == .tooLarge)
        }
    }

    @Test("a task cancelled before, while or long after its request began ends at once as cancelled")
    func cancellation() async throws {
        let server = try ScriptedServer { _ in [.stall] }
        let client = try HTTPClient()
        for reached in [0, 1] {
            let task = Task { await phase(HTTPRequest(url: server.url), client) }
            while server.requests < reached { await Task.yield() }
            task.cancel()
            #expect(await task.value == .cancelled)
        }
    }

    @Test("shutdown ends what is under way, joins the thread, and leaves no descriptor open")
    func shutdown() async throws {
        let server = try ScriptedServer { _ in [.stall] }
        let client = try HTTPClient()
        let tasks = (0..<5).map { _ in Task { await phase(HTTPRequest(url: server.url), client) } }
        while server.requests < 5 { await Task.yield() }
        #expect(descriptors(to: server.port) >= 5)
        client.shutdown()
        for task in tasks { #expect(await task.value == .cancelled) }
        #expect(descriptors(to: server.port) == 0)
        #expect(await phase(HTTPRequest(url: server.url), client) == .cancelled)
        client.shutdown()
    }

    /// How many of the process's sockets are connected to a port (the test runs beside others, so a plain count says nothing).
    private func descriptors(to port: Int) -> Int {
        (0..<4096).count { descriptor in
            var address = sockaddr_in()
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let known = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(Int32(descriptor), $0, &size) == 0 }
            }
            return known && Int(UInt16(bigEndian: address.sin_port)) == port
        }
    }
}
