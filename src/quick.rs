//! A map that is asked very often, by every request or for every row: its hash is fast, and seeded anew in each process. For
//! keys of our own (models, addresses, labels); what clients could add keys to keeps the standard library's.

/// See the module.
pub(crate) type QuickMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;
