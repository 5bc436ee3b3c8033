//! The one integration binary: a file per promise, contract suites that every engine passes.

mod accounts;
mod architecture;
mod contract;
mod conversion;
mod detection;
mod support;
