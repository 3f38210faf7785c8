import Foundation
import SluiceSimulator
import SluiceTestKit

/// What came back over one connection.
struct Reply {
    var status: Int
    var head: String
    var body: Data
    /// Whether the body has all the bytes that were promised.
    var isWhole: Bool

    var json: Any? { try? JSONSerialization.jsonObject(with: body, options: [.fragmentsAllowed]) }
    var object: [String: Any] { json as? [String: Any] ?? [:] }
    var list: [[String: Any]] { json as? [[String: Any]] ?? [] }
    var result: Any? { object["result"] }
    var errorCode: Int? { (object["error"] as? [String: Any])?["code"] as? Int }
}

enum ClientFault: Error, Equatable {
    case refused
    /// Closed or reset before an answer.
    case closed
    case timedOut
}

/// A connection with a blocking socket; every call runs on a thread of its own, off the cooperative pool.
final class TestClient: @unchecked Sendable {
    // SAFETY: one request at a time; the socket is set once.
    private let socket: Int32

    init(port: UInt16, timeoutSeconds: Int = 10) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard status == 0 else { throw ClientFault.refused }
        var wait = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(socket) }

    func call(_ method: String, _ params: String = "[]", id: String = "1") async throws -> Reply {
        try await post(#"{"jsonrpc":"2.0","id":\#(id),"method":"\#(method)","params":\#(params)}"#)
    }

    func post(_ body: String) async throws -> Reply {
        try await raw("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }

    /// Sends bytes as they are and reads one answer.
    func raw(_ request: String) async throws -> Reply {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try self.exchange(request) }) }
        }
    }

    private func exchange(_ request: String) throws -> Reply {
        let bytes = Array(request.utf8)
        guard send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else { throw ClientFault.closed }
        var data = Data()
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        var head: Data.Index?
        var length = 0
        while true {
            if head == nil, let mark = data.range(of: Data("\r\n\r\n".utf8)) {
                head = mark.upperBound
                let text = String(decoding: data[..<mark.upperBound], as: UTF8.self).lowercased()
                let value = text.components(separatedBy: "content-length: ").dropFirst().first?.prefix { $0.isNumber } ?? "0"
                length = Int(value) ?? 0
            }
            if let head, data.count - head >= length { return reply(data, head, length) }
            let count = recv(socket, &buffer, buffer.count, 0)
            if count < 0, errno == EAGAIN { throw ClientFault.timedOut }
            if count <= 0 {
                guard let head else { throw ClientFault.closed }
                return reply(data, head, length)
            }
            data.append(contentsOf: buffer[..<count])
        }
    }

    private func reply(_ data: Data, _ head: Data.Index, _ length: Int) -> Reply {
        let text = String(decoding: data[..<head], as: UTF8.self)
        let status = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return Reply(status: status, head: text, body: Data(data[head...]), isWhole: data.count - head == length)
    }
}

/// A small generated chain that only grows on command.
func generated(seed: UInt64 = 7, history: Int = 20, _ change: (inout GeneratorOptions) -> Void = { _ in }) -> SimulatorOptions {
    var options = GeneratorOptions(seed: seed)
    options.history = history
    options.transactions = 3...10
    change(&options)
    return SimulatorOptions(.generated(options))
}

func hex(_ number: UInt64) -> String { "0x" + String(number, radix: 16) }
func number(_ value: Any?) -> UInt64? { (value as? String).flatMap { UInt64($0.dropFirst(2), radix: 16) } }

/// Recorded data next to the checkout; nil where there is none.
func sharedData(_ name: String) -> String? {
    var folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    while folder.path != "/" {
        let candidate = folder.appendingPathComponent("shared/data/\(name)")
        if FileManager.default.fileExists(atPath: candidate.path) { return candidate.path }
        folder.deleteLastPathComponent()
    }
    return nil
}

func temporaryFile(_ name: String) -> String {
    FileManager.default.temporaryDirectory.appendingPathComponent("sluice-\(UUID().uuidString)-\(name)").path
}
