import Foundation

/// What servers of a cluster exchange messages through, in a test that starts and kills it.
protocol BrokerProcess {
    /// For ``Configuration/cluster``.
    var url: String { get }
    func start() throws
    /// Starts it after it was killed, without its data.
    func startEmpty() throws
    /// Kills it without a chance to save anything.
    func kill()
}

extension RedisProcess: BrokerProcess {}

/// The kinds of brokers.
enum BrokerKind: String, CaseIterable {
    case redis = "Redis"
    case nats = "NATS"

    /// Those that can be tested.
    static var installed: [BrokerKind] {
        allCases.filter { $0 == .redis ? RedisProcess.isInstalled : NATSProcess.isInstalled }
    }

    /// The program that a variable names, where an empty one stands for none, or the first one that there is.
    static func program(_ variable: String, _ paths: [String]) -> String? {
        let program =
            ProcessInfo.processInfo.environment[variable]
            ?? paths.first { FileManager.default.isExecutableFile(atPath: $0) }
        return program?.isEmpty == false ? program : nil
    }

    /// Starts one that has no parent to end it: an alarm does, in case the tests are cut off.
    static func spawn(_ command: [String]) throws -> Int32 {
        let all = ["/usr/bin/perl", "-e", "alarm 300; exec @ARGV"] + command
        let argv = unsafe all.map { unsafe strdup($0) } + [nil]
        defer { for index in unsafe argv.indices { unsafe free(argv[index]) } }
        var pid: Int32 = 0
        let result = unsafe posix_spawn(&pid, argv[0]!, nil, nil, argv, environ)
        guard result == 0 else { throw SystemError("starting \(command[0])", result) }
        return pid
    }

    /// The modes with Redis, and one of them with NATS: it makes no difference outside of the gateway.
    static func cases(_ modes: [ServerMode]) -> [(BrokerKind, ServerMode)] {
        let all = modes.map { (BrokerKind.redis, $0) } + [(.nats, ServerMode.process)]
        return all.filter { BrokerKind.installed.contains($0.0) }
    }

    func make() throws -> any BrokerProcess {
        switch self {
        case .redis: try RedisProcess()
        case .nats: try NATSProcess()
        }
    }
}
