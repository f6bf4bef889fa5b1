//! Private etcd, Redis and PostgreSQL for tests.
//!
//! Each server listens on a free port of 127.0.0.1 and keeps its data in a temporary directory. It is stopped when
//! its value is dropped, and it dies with the test process, however that ends. Most tests use [`shared`], with a
//! database and a prefix of their own; a test that stops, pauses or fills a server starts one for itself.

mod etcd;
mod postgres;
mod redis;
mod root;
mod server;
mod shared;
mod tmpfs;

pub use etcd::Etcd;
pub use postgres::Postgres;
pub use redis::{Durability, Redis};
pub use server::Server;
pub use shared::{Shared, fresh_database, fresh_prefix, shared};
pub use tmpfs::Tmpfs;
