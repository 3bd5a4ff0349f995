//! An embeddable storage engine for things that have a place and a history: buildings first.
pub use blocknet_engine::*;
pub use blocknet_geocode as geocode;
pub use blocknet_query as query;
pub use blocknet_wal as journal;
