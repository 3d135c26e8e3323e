internal import CReactor

/// The version of the library, "MAJOR.MINOR.PATCH".
public var version: String { unsafe String(cString: cre_version()) }
