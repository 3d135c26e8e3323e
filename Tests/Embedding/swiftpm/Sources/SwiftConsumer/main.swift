import SwiftServer

precondition(version.split(separator: ".").count == 3)
print("SwiftPM, Swift: SwiftServer \(version) works")
