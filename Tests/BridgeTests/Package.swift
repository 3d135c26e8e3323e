// swift-tools-version: 6.2
import PackageDescription

// The tests of the bridges to other packages. scripts/test-bridges builds them against the stand-ins beside this file.
let bridges: [Target.Dependency] = [
    .product(name: "SwiftServer", package: "SwiftServer"),
    .product(name: "SwiftServerHTTPTypes", package: "SwiftServer"),
    .product(name: "SwiftServerLifecycle", package: "SwiftServer"),
    .product(name: "SwiftServerLogging", package: "SwiftServer"),
    .product(name: "SwiftServerMetrics", package: "SwiftServer"),
    .product(name: "SwiftServerTracing", package: "SwiftServer"),
    .product(name: "HTTPTypes", package: "swift-http-types"),
    .product(name: "Logging", package: "swift-log"),
    .product(name: "Metrics", package: "swift-metrics"),
    .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
    .product(name: "Tracing", package: "swift-distributed-tracing"),
]

let package = Package(
    name: "BridgeTests",
    dependencies: [
        .package(
            name: "SwiftServer", path: "../..",
            traits: ["HTTPTypes", "Logging", "Metrics", "ServiceLifecycle", "Tracing"]),
        .package(url: "https://github.com/apple/swift-distributed-tracing.git", from: "1.0.0"),
        .package(url: "https://github.com/apple/swift-http-types.git", from: "1.0.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.0.0"),
        .package(url: "https://github.com/apple/swift-metrics.git", from: "2.0.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.0.0"),
    ],
    targets: [
        .executableTarget(name: "bridge-program", dependencies: bridges, path: "Program"),
        .testTarget(
            name: "BridgeTests",
            dependencies: bridges + ["bridge-program", .product(name: "SwiftServerTesting", package: "SwiftServer")],
            path: "Tests"),
    ],
    swiftLanguageModes: [.v6]
)
