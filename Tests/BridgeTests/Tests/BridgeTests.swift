import Testing

/// The tests of all bridges. One after the other: some change what the whole process has.
@Suite(.serialized, .timeLimit(.minutes(2))) struct BridgeTests {}
