/// The servers of Redis Sentinel that know the masters of a cluster.
struct Sentinels: Sendable {
    let addresses: [String]
    /// The names of the masters, one for each shard.
    let masters: [String]
    /// Of the masters.
    let user: String?
    let password: String?
    let sentinelUser: String?
    let sentinelPassword: String?
    let isSecure: Bool

    func check() throws(ServerError) {
        guard (1...Cluster.mostServers).contains(addresses.count) else {
            throw .setting("cluster must have 1 to \(Cluster.mostServers) sentinels, got \(addresses.count)")
        }
        guard masters.allSatisfy({ !$0.isEmpty && !$0.utf8.contains(0) }) else {
            throw .setting("cluster: the name of a master must not be empty")
        }
        guard user == nil || password != nil, sentinelUser == nil || sentinelPassword != nil else {
            throw .setting("cluster: a user needs a password")
        }
        guard ![user, password, sentinelUser, sentinelPassword].contains(where: { $0?.utf8.contains(0) == true }) else {
            throw .setting("cluster: users and passwords must not contain a zero byte")
        }
        _ = try servers()
    }

    /// Where the sentinels are.
    func servers() throws(ServerError) -> [ClusterURL] {
        var all: [ClusterURL] = []
        for address in addresses {
            let server = try ClusterURL(sentinel: address, isSecure: isSecure)
            guard server.password == nil else {
                throw .setting("cluster: the password of sentinels is the parameter sentinelPassword")
            }
            all.append(server)
        }
        return all
    }
}
