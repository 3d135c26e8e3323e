// swift-tools-version: 6.2
import PackageDescription

// Says where the repository with the tag is; scripts/test-embedding sets it.
let repository = Context.environment["SWIFTSERVER_REPOSITORY"] ?? "file:///nowhere/SwiftServer"

let package = Package(
    name: "Consumers",
    dependencies: [
        .package(url: repository, from: "0.1.0")
    ],
    targets: [
        .executableTarget(
            name: "CConsumer",
            dependencies: [.product(name: "CReactor", package: "SwiftServer")]
        ),
        .executableTarget(
            name: "SwiftConsumer",
            dependencies: [.product(name: "SwiftServer", package: "SwiftServer")]
        ),
    ],
    swiftLanguageModes: [.v6]
)
