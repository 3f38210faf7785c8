/// Takes HTTP/1.1 requests out of a stream of bytes. Pure: bytes in, requests out.
struct HTTPRequestParser {
    struct Request: Equatable {
        var method: String
        var path: String
        /// Where the body lies in the parser's bytes; `consume()` forgets it.
        var body: Range<Int>
        var keepAlive: Bool
    }

    enum Outcome: Equatable {
        /// More bytes are needed; `expectsContinue` when the client waits for `100 Continue` before it sends the body.
        case incomplete(expectsContinue: Bool)
        case request(Request)
        /// Not HTTP as this server speaks it: answer with this status and close.
        case refused(status: Int)
    }

    static let headLimit = 16 * 1024
    static let bodyLimit = 16 * 1024 * 1024

    private(set) var bytes: [UInt8] = []
    private var end = 0
    private var headScanned = 0
    private var saidContinue = false

    mutating func append(_ chunk: UnsafeBufferPointer<UInt8>) { bytes.append(contentsOf: chunk) }

    /// What the bytes so far amount to. A request stays until `consume()`.
    mutating func next() -> Outcome {
        guard let headEnd = findHeadEnd() else {
            headScanned = max(0, bytes.count - 3)
            return bytes.count > Self.headLimit ? .refused(status: 431) : .incomplete(expectsContinue: false)
        }
        guard headEnd <= Self.headLimit else { return .refused(status: 431) }
        let lines = String(decoding: bytes[..<headEnd], as: UTF8.self).split(separator: "\r\n", omittingEmptySubsequences: true)
        let start = lines.first.map { $0.split(separator: " ") } ?? []
        guard start.count == 3, start[2].hasPrefix("HTTP/1.") else { return .refused(status: 400) }
        var length = 0
        var keepAlive = start[2] == "HTTP/1.1"
        var expects = false
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { return .refused(status: 400) }
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }.lowercased()
            switch line[..<colon].lowercased() {
            case "content-length":
                guard let number = Int(value), number >= 0 else { return .refused(status: 400) }
                length = number
            case "transfer-encoding": return .refused(status: 411)
            case "connection": keepAlive = value.contains("close") ? false : (value.contains("keep-alive") ? true : keepAlive)
            case "expect": expects = value == "100-continue"
            default: break
            }
        }
        guard length <= Self.bodyLimit else { return .refused(status: 413) }
        guard bytes.count >= headEnd + length else {
            let say = expects && !saidContinue
            saidContinue = saidContinue || expects
            return .incomplete(expectsContinue: say)
        }
        end = headEnd + length
        return .request(
            Request(method: String(start[0]), path: String(start[1]), body: headEnd..<end, keepAlive: keepAlive))
    }

    /// Forgets the request that `next()` gave, keeping what was sent behind it.
    mutating func consume() {
        bytes.removeSubrange(..<end)
        end = 0
        headScanned = 0
        saidContinue = false
    }

    private func findHeadEnd() -> Int? {
        guard bytes.count >= headScanned + 4 else { return nil }
        return (headScanned...bytes.count - 4).first {
            bytes[$0] == 13 && bytes[$0 + 1] == 10 && bytes[$0 + 2] == 13 && bytes[$0 + 3] == 10
        }.map { $0 + 4 }
    }
}
