// swift-tools-version: 6.2
import PackageDescription

// A stand-in for the package of this name: the part of its API that SwiftServer and its tests use.
let package = Package(
    name: "swift-metrics",
    products: [.library(name: "Metrics", targets: ["Metrics"])],
    targets: [.target(name: "Metrics")],
    swiftLanguageModes: [.v6]
)
