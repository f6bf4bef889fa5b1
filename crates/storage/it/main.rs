mod analysis;
mod config;
mod log;
