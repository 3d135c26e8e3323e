// swift-tools-version: 6.2
import PackageDescription

// A stand-in for the package of this name: the part of its API that SwiftServer and its tests use.
let package = Package(
    name: "swift-distributed-tracing",
    products: [.library(name: "Tracing", targets: ["Tracing"])],
    targets: [.target(name: "Tracing")],
    swiftLanguageModes: [.v6]
)
