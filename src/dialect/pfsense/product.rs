//! The two products whose files these are.

/// The product whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Product {
    /// pfSense CE and Plus.
    PfSense,
    /// OPNsense.
    OpnSense,
}
