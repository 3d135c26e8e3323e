// swift-tools-version: 6.2
import PackageDescription

// A stand-in for the package of this name: the part of its API that SwiftServer and its tests use.
let package = Package(
    name: "swift-http-types",
    products: [.library(name: "HTTPTypes", targets: ["HTTPTypes"])],
    targets: [.target(name: "HTTPTypes")],
    swiftLanguageModes: [.v6]
)
