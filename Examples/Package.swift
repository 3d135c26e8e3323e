// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "Examples",
    dependencies: [.package(name: "SwiftServer", path: "..")],
    targets: [
        .executableTarget(
            name: "echo", dependencies: [.product(name: "SwiftServer", package: "SwiftServer")], path: "echo"),
        .executableTarget(
            name: "tcp", dependencies: [.product(name: "SwiftServer", package: "SwiftServer")], path: "tcp"),
        .executableTarget(
            name: "client", dependencies: [.product(name: "SwiftServer", package: "SwiftServer")], path: "client"),
        .executableTarget(
            name: "chat", dependencies: [.product(name: "SwiftServer", package: "SwiftServer")], path: "chat"),
    ],
    swiftLanguageModes: [.v6]
)
