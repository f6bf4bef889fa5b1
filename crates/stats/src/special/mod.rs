//! Distribution functions, accurate in the tails and for large parameters, with the same bits on every platform.
//!
//! Tails are computed as tails, never as one minus the other side. Elementary functions come from `libm`.

mod beta;
mod chi2;
mod normal;
mod quadrature;
mod student;

pub(crate) use beta::BetaTable;
pub use beta::beta_cdf;
pub use chi2::chi2_sf;
pub(crate) use normal::{norm_pdf, norm_upper};
pub use normal::{norm_ppf, norm_sf};
pub(crate) use quadrature::gauss_legendre;
pub(crate) use student::t_upper;
pub use student::{t_ppf, t_sf};
