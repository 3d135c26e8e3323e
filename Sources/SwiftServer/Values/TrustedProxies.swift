internal import Synchronization

/// The fields by which a proxy reports the client of a request.
public enum ForwardedFields: Sendable, Hashable, CaseIterable {
    /// `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`.
    case xForwarded
    /// `Forwarded` (RFC 7239).
    case forwarded
}

/// The proxies whose forwarded fields are believed, and what these say.
struct TrustedProxies: Sendable {
    private var blocks: [AddressBlock] = []
    private var hasUnix = false
    let fields: ForwardedFields
    let requestIDField: String?

    var isEmpty: Bool { blocks.isEmpty && !hasUnix }

    /// - Throws: an error that names the first entry that is no address.
    init(_ settings: Settings) throws(ServerError) {
        fields = settings.forwardedFields
        requestIDField = settings.requestIDField
        for entry in settings.trustedProxies {
            if entry == "unix" {
                hasUnix = true
            } else if let block = AddressBlock(entry) {
                blocks.append(block)
            } else {
                throw .setting(
                    "trustedProxies must have addresses, blocks like \"10.0.0.0/8\" or \"unix\", got \"\(entry)\"")
            }
        }
        guard requestIDField != nil else { return }
        if isEmpty { throw .setting("requestIDField needs trustedProxies") }
        if requestIDField?.isEmpty == true { throw .setting("requestIDField must be the name of a field, got \"\"") }
    }

    /// Whether a connection with this remote address is one of a proxy. Connections of Unix sockets have none: "".
    func trusts(_ address: String) -> Bool {
        if address.isEmpty { return hasUnix }
        guard let bytes = AddressBlock.bytes(of: address) else { return false }
        return blocks.contains { $0.contains(bytes) }
    }
}

// MARK: - The client behind the proxies

extension TrustedProxies {
    /// The client of a request as the proxies report it.
    struct Client: Equatable {
        /// `nil`: the remote end of the connection, for which there may be no text.
        var address: String
        var scheme: String?
        var host: String?
    }

    /// One proxy's report.
    private struct Hop {
        var address: String?
        var scheme: String?
        var host: String?
    }

    /// Follows the reports from the last proxy to the first one that is not trusted: that is the client. A report that
    /// has no address ends the walk. `remote` is the remote address of the connection, which is trusted.
    func client(of header: Request.Fields, remote: String) -> Client {
        var client = Client(address: remote)
        for hop in hops(header).reversed() {
            if let scheme = hop.scheme { client.scheme = scheme }
            if let host = hop.host { client.host = host }
            guard let address = hop.address else { break }
            client.address = address
            guard trusts(address) else { break }
        }
        return client
    }

    /// The reports, that of the last proxy last.
    private func hops(_ header: Request.Fields) -> [Hop] {
        switch fields {
        case .forwarded:
            return header.all("forwarded").flatMap { TrustedProxies.list($0, ",") }.map(TrustedProxies.hop)
        case .xForwarded:
            func values(_ name: String) -> [String] { header.all(name).flatMap { TrustedProxies.list($0, ",") } }
            let (addresses, schemes, hosts) = (
                values("x-forwarded-for"), values("x-forwarded-proto"), values("x-forwarded-host")
            )
            // The lists are aligned at their ends. A proxy that sets a field instead of extending it leaves a shorter
            // one.
            let count = max(addresses.count, max(schemes.isEmpty ? 0 : 1, hosts.isEmpty ? 0 : 1))
            func value(_ list: [String], _ place: Int) -> String? {
                let index = list.count - count + place
                return list.indices.contains(index) ? list[index] : nil
            }
            return (0..<count).map { place in
                Hop(
                    address: value(addresses, place).flatMap(TrustedProxies.address),
                    scheme: value(schemes, place).flatMap(TrustedProxies.scheme),
                    host: value(hosts, place).flatMap(TrustedProxies.host))
            }
        }
    }

    /// One element of Forwarded: `for=192.0.2.1;proto=https;host=example.com`.
    private static func hop(_ element: String) -> Hop {
        var hop = Hop()
        for pair in list(element, ";") {
            guard let equals = pair.firstIndex(of: "=") else { continue }
            let name = trim(pair[..<equals]).lowercased()
            var value = trim(pair[pair.index(after: equals)...])
            if value.count >= 2, value.hasPrefix("\""), value.hasSuffix("\"") {
                value = String(value.dropFirst().dropLast()).filter { $0 != "\\" }
            }
            switch name {
            case "for": hop.address = address(value)
            case "proto": hop.scheme = scheme(value)
            case "host": hop.host = host(value)
            default: break
            }
        }
        return hop
    }

    /// The elements of a list; separators in quotes do not count.
    private static func list(_ text: String, _ separator: Character) -> [String] {
        var found: [String] = []
        var element = ""
        var (isQuoted, isEscaped) = (false, false)
        for character in text {
            if character == separator, !isQuoted {
                found.append(trim(element))
                element = ""
                continue
            }
            if character == "\"", !isEscaped { isQuoted.toggle() }
            isEscaped = isQuoted && character == "\\" && !isEscaped
            element.append(character)
        }
        found.append(trim(element))
        return found.filter { !$0.isEmpty }
    }

    private static func trim(_ text: some StringProtocol) -> String {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        return String(text.drop(while: isSpace).reversed().drop(while: isSpace).reversed())
    }

    /// The address of "192.0.2.1", "192.0.2.1:4711", "2001:db8::1" or "[2001:db8::1]:4711"; `nil` for a hidden one.
    static func address(_ text: String) -> String? {
        var text = text[...]
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { return nil }
            text = text[text.index(after: text.startIndex)..<end]
        } else if text.count(where: { $0 == ":" }) == 1 {
            text = text.prefix { $0 != ":" }
        }
        return AddressBlock.bytes(of: String(text)) == nil ? nil : String(text)
    }

    private static func scheme(_ text: String) -> String? {
        let scheme = text.lowercased()
        return scheme == "http" || scheme == "https"
            ? scheme : scheme == "wss" ? "https" : scheme == "ws" ? "http" : nil
    }

    /// Characters of a host with a port, so that nothing else gets into links.
    private static func host(_ text: String) -> String? {
        let isGood = text.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"),
                UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"):
                true
            default: false
            }
        }
        return isGood && !text.isEmpty && text.utf8.count <= 255 ? text : nil
    }
}

// MARK: - The proxies of this process

extension TrustedProxies {
    private static let areSet = Atomic(false)
    private static let ofProcess = Lock<TrustedProxies?>(nil)

    /// The proxies that the server of this process trusts; `nil` when there are none. Any thread.
    static var current: TrustedProxies? {
        guard areSet.load(ordering: .acquiring) else { return nil }
        return ofProcess.withLock { $0 }
    }

    /// Sets them, before the first request.
    static func set(_ proxies: TrustedProxies?) {
        let used = proxies.flatMap { $0.isEmpty ? nil : $0 }
        ofProcess.withLock { $0 = used }
        areSet.store(used != nil, ordering: .releasing)
    }
}
