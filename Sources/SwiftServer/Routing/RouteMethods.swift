internal import CReactor

/// The methods of a port's routes as bits: those of the C core by their numbers, others behind them.
struct RouteMethods: Sendable {
    /// The bit of routes for any method.
    static let any: UInt32 = 1 << 0
    static let get = bit(CRE_HTTP_GET)
    static let head = bit(CRE_HTTP_HEAD)
    static let options = bit(CRE_HTTP_OPTIONS)

    private static let known = [
        CRE_HTTP_GET, CRE_HTTP_HEAD, CRE_HTTP_POST, CRE_HTTP_PUT, CRE_HTTP_DELETE, CRE_HTTP_CONNECT, CRE_HTTP_OPTIONS,
        CRE_HTTP_TRACE, CRE_HTTP_PATCH,
    ]
    private static let firstOther = 10

    /// The methods that the core has no number for, in the order of their bits.
    private var others: [String] = []

    private static func bit(_ method: cre_http_method) -> UInt32 { 1 << UInt32(method.rawValue) }

    private static func name(_ method: cre_http_method) -> String {
        unsafe String(cString: cre_http_method_name(Int32(method.rawValue)))
    }

    /// The bit of a method, which is added when it is new; `nil` stands for any method.
    mutating func bit(of method: HTTPMethod?) throws(RouteError) -> UInt32 {
        guard let name = method?.rawValue else { return RouteMethods.any }
        guard !name.isEmpty, name.utf8.allSatisfy(RouteMethods.isTokenByte) else {
            throw RouteError(message: "\"\(name)\" is no method")
        }
        if let known = RouteMethods.known.first(where: { RouteMethods.name($0) == name }) {
            return RouteMethods.bit(known)
        }
        if let index = others.firstIndex(of: name) { return 1 << UInt32(RouteMethods.firstOther + index) }
        guard RouteMethods.firstOther + others.count < UInt32.bitWidth else {
            throw RouteError(message: "there are more than \(others.count) methods beside those of the standard")
        }
        others.append(name)
        return 1 << UInt32(RouteMethods.firstOther + others.count - 1)
    }

    /// The bit of a request's method; 0 when no route names it and the core does not know it.
    @inline(__always) func bit(of view: cre_request_view) -> UInt32 {
        let method = unsafe view.head.pointee.method
        return unsafe method != 0 ? 1 << UInt32(method) : others.isEmpty ? 0 : otherBit(of: view)
    }

    @inline(never) private func otherBit(of view: cre_request_view) -> UInt32 {
        let name = unsafe view.text(at: view.head.pointee.method_start, view.head.pointee.method_length)
        return others.firstIndex(of: name).map { 1 << UInt32(RouteMethods.firstOther + $0) } ?? 0
    }

    /// The value of an Allow field for a resource with these methods, and those that the server adds.
    func allow(_ methods: UInt32) -> String {
        var methods = methods | RouteMethods.options
        if methods & RouteMethods.get != 0 { methods |= RouteMethods.head }
        var names = RouteMethods.known.filter { methods & RouteMethods.bit($0) != 0 }.map(RouteMethods.name)
        for (index, name) in others.enumerated() where methods & 1 << UInt32(RouteMethods.firstOther + index) != 0 {
            names.append(name)
        }
        return names.joined(separator: ", ")
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}
