//! Cases that failed once, as small as they went. Each is of a fault that was in nightreel.
