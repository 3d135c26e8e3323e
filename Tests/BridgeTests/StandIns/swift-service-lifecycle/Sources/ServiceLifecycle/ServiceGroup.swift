// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

public import Logging

public protocol Service: Sendable {
    func run() async throws
}

public struct ServiceGroupConfiguration: Sendable {
    public struct ServiceConfiguration: Sendable {
        public enum TerminationBehavior: Sendable {
            case cancelGroup, gracefullyShutdownGroup
        }

        public var service: any Service
        public var successTerminationBehavior: TerminationBehavior

        public init(service: any Service, successTerminationBehavior: TerminationBehavior = .cancelGroup) {
            self.service = service
            self.successTerminationBehavior = successTerminationBehavior
        }
    }

    public var services: [ServiceConfiguration]
    public var logger: Logger

    public init(services: [ServiceConfiguration], logger: Logger) {
        self.services = services
        self.logger = logger
    }
}

/// Runs services until one has failed, or all have ended.
public actor ServiceGroup {
    private let configuration: ServiceGroupConfiguration
    private let shutdown = Shutdown()

    public init(configuration: ServiceGroupConfiguration) { self.configuration = configuration }

    public func run() async throws {
        let shutdown = shutdown
        try await withThrowingTaskGroup(of: ServiceGroupConfiguration.ServiceConfiguration.self) { group in
            for item in configuration.services {
                group.addTask {
                    try await Shutdown.$current.withValue(shutdown) { try await item.service.run() }
                    return item
                }
            }
            while let ended = try await group.next() {
                switch ended.successTerminationBehavior {
                case .cancelGroup: group.cancelAll()
                case .gracefullyShutdownGroup: shutdown.trigger()
                }
            }
        }
    }

    public func triggerGracefulShutdown() { shutdown.trigger() }
}
