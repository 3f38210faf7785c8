import Glibc
import SluiceCore

/// One client: bytes that came, and the answer on its way. Used on the service thread alone.
final class HTTPConnection {
    enum Progress {
        /// The answer is out; the next request may be read.
        case done
        /// The socket is full.
        case blocked
        /// A trickle waits until then.
        case waiting(until: MonotonicTime)
        case closed
    }

    let socket: Int32
    /// Tells this client from an earlier one with the same descriptor.
    let serial: UInt64
    var parser = HTTPRequestParser()
    /// Answering: further requests wait in the parser.
    private(set) var isBusy = false
    /// What the loop watches for: room to send, or bytes to read.
    var waitsForRoom = false

    private var pieces: [Body.Piece] = []
    private var piece = 0
    private var offset = 0
    private var left = 0
    private var delivery = HTTPAnswer.Delivery.whole
    private var keepAlive = true
    private var resetsOnClose = false
    private(set) var bytesSent = 0

    init(socket: Int32, serial: UInt64) {
        self.socket = socket
        self.serial = serial
    }

    deinit {
        if resetsOnClose {
            var option = linger(l_onoff: 1, l_linger: 0)
            setsockopt(socket, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        }
        close(socket)
    }

    /// Takes an answer; `pump` sends it.
    func begin(_ answer: HTTPAnswer, keepAlive: Bool) {
        isBusy = true
        self.keepAlive = keepAlive
        delivery = answer.delivery
        pieces = [.own(Array(answer.head(keepAlive: keepAlive).utf8))]
        left = pieces[0].count + answer.body.count
        pieces.append(contentsOf: answer.body.pieces)
        piece = 0
        offset = 0
        switch answer.delivery {
        case .truncated(let bytes):
            left -= answer.body.count - min(bytes, answer.body.count)
            self.keepAlive = false
        case .reset: resetsOnClose = true
        default: break
        }
    }

    /// Marks that an answer is being made or waits for its time.
    func reserve() { isBusy = true }

    /// Sends as much as goes now.
    func pump(now: MonotonicTime) -> Progress {
        switch delivery {
        case .reset: return .closed
        case .never: return .waiting(until: now + .seconds(3600))
        case .trickle(let bytes, let interval): return send(limit: bytes) ?? .waiting(until: now + interval)
        case .whole, .truncated: return send(limit: .max) ?? .closed
        }
    }

    private func finish() -> Progress {
        guard keepAlive else { return .closed }
        isBusy = false
        pieces.removeAll(keepingCapacity: true)
        return .done
    }

    /// Nil when the limit was reached before the end; never without a limit.
    private func send(limit: Int) -> Progress? {
        var allowance = limit
        while left > 0 {
            guard allowance > 0 else { return nil }
            let sent = sendOnce(upTo: min(left, allowance))
            if sent < 0 {
                if errno == EINTR { continue }
                return errno == EAGAIN || errno == EWOULDBLOCK ? .blocked : .closed
            }
            advance(by: sent)
            allowance -= sent
        }
        return finish()
    }

    /// Up to 16 pieces in one call.
    private func sendOnce(upTo limit: Int) -> Int {
        withUnsafeTemporaryAllocation(of: iovec.self, capacity: 16) { vector in
            var used = 0
            var room = limit
            var first = offset
            var index = piece
            // The arrays behind the pointers are held by `pieces`, which nothing changes until the call is back.
            while used < 16, room > 0, index < pieces.count {
                let count = min(pieces[index].count - first, room)
                vector[used] = iovec(iov_base: Self.address(pieces[index], first), iov_len: count)
                used += 1
                room -= count
                index += 1
                first = 0
            }
            var message = msghdr()
            message.msg_iov = vector.baseAddress
            message.msg_iovlen = used
            return sendmsg(socket, &message, Int32(MSG_NOSIGNAL))
        }
    }

    private static func address(_ piece: Body.Piece, _ offset: Int) -> UnsafeMutableRawPointer? {
        switch piece {
        case .shared(let text, let range): UnsafeMutableRawPointer(text.base + range.lowerBound + offset)
        // SAFETY: a native array keeps its elements in place as long as it is held and unchanged; `pieces` holds it.
        case .own(let bytes): bytes.withUnsafeBufferPointer { UnsafeMutableRawPointer(mutating: $0.baseAddress).map { $0 + offset } }
        }
    }

    private func advance(by sent: Int) {
        bytesSent += sent
        left -= sent
        var rest = sent
        while rest > 0 {
            let here = pieces[piece].count - offset
            if rest < here {
                offset += rest
                return
            }
            rest -= here
            piece += 1
            offset = 0
        }
    }
}
