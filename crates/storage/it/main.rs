mod analysis;
mod config;
mod log;
mod units;
