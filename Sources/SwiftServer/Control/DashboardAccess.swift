/// Decides who may read the dashboard, and who may reload and restart.
///
/// A browser sends requests for every page that it shows, also to ports of its own machine, and a page whose host name
/// suddenly resolves to this machine may even read the answers (DNS rebinding). So actions need a secret that only the
/// dashboard's own page has, and reading needs it when the server is addressed by a name that anybody could own.
struct DashboardAccess {
    /// What a request says about its origin and its rights.
    struct Credentials {
        var host = ""
        var origin: String?
        /// The value of `Sec-Fetch-Site`, which all current browsers send.
        var site: String?
        var authorization: String?
    }

    /// ``Settings/monitoringToken``.
    let token: String?

    // MARK: Decisions

    func isAuthorized(_ credentials: Credentials) -> Bool {
        guard let token, let offered = DashboardAccess.bearer(credentials.authorization) else { return false }
        return DashboardAccess.isEqual(offered, token)
    }

    /// Throws a refusal unless the request may read.
    func checkRead(_ credentials: Credentials) throws(ControlCommands.Refusal) {
        // A page with a token must learn that it is wrong.
        guard credentials.authorization == nil || token == nil else { return try checkToken(credentials) }
        guard !DashboardAccess.isOwnName(credentials.host) else { return }
        guard token != nil else {
            throw ControlCommands.Refusal(
                403,
                """
                the dashboard is served for localhost and for IP addresses, not for "\(credentials.host)": set \
                settings.monitoringToken to open it by a host name
                """)
        }
        try checkToken(credentials)
    }

    /// Throws a refusal unless the request may change something.
    func checkAction(_ credentials: Credentials) throws(ControlCommands.Refusal) {
        guard token != nil else {
            throw ControlCommands.Refusal(403, "actions need settings.monitoringToken, which is not set")
        }
        if let site = credentials.site, site != "same-origin", site != "none" {
            throw ControlCommands.Refusal(403, "requests of other sites are refused (Sec-Fetch-Site: \(site))")
        }
        if let origin = credentials.origin, DashboardAccess.authority(origin) != credentials.host.lowercased() {
            throw ControlCommands.Refusal(
                403,
                """
                requests of other sites are refused: Origin is "\(origin)", Host is "\(credentials.host)" (a proxy must \
                pass on Host)
                """)
        }
        try checkToken(credentials)
    }

    private func checkToken(_ credentials: Credentials) throws(ControlCommands.Refusal) {
        guard credentials.authorization != nil else {
            throw ControlCommands.Refusal(
                401, "this request needs \"Authorization: Bearer\" with the token of settings.monitoringToken")
        }
        guard isAuthorized(credentials) else {
            throw ControlCommands.Refusal(401, "the token is not the one of settings.monitoringToken")
        }
    }

    // MARK: Parts

    private static func bearer(_ authorization: String?) -> Substring? {
        guard let authorization, authorization.prefix(7).lowercased() == "bearer " else { return nil }
        return authorization.dropFirst(7)
    }

    /// Compares in a time that does not depend on the number of equal bytes.
    private static func isEqual(_ offered: Substring, _ token: String) -> Bool {
        let (left, right) = (Array(offered.utf8), Array(token.utf8))
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    /// "http://localhost:9464" has the authority "localhost:9464"; "null" has none.
    private static func authority(_ origin: String) -> String? {
        guard let scheme = ["http://", "https://"].first(where: { origin.lowercased().hasPrefix($0) }) else {
            return nil
        }
        return origin.dropFirst(scheme.count).lowercased()
    }

    /// Whether a host, with or without a port, cannot be a name that somebody else owns: an IP address or localhost.
    static func isOwnName(_ host: String) -> Bool {
        if host.isEmpty { return true }  // a request without a browser
        if host.hasPrefix("[") { return true }
        let name = host.lowercased().prefix { $0 != ":" }
        // A name whose last part is a number is an IPv4 address for browsers, or invalid.
        let last = name.split(separator: ".", omittingEmptySubsequences: false).last ?? ""
        if !last.isEmpty, last.utf8.allSatisfy({ (0x30...0x39).contains($0) }) { return true }
        return name == "localhost" || name.hasSuffix(".localhost")
    }
}
