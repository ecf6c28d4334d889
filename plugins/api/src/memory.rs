//! What plugins keep for as long as the process runs: a reload makes new plugins, and their counts must not begin anew.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// One value of each type.
#[derive(Default)]
pub struct Memory(Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Memory {
    /// The value of this type; made when it is first asked for.
    pub fn get<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let value = values.entry(TypeId::of::<T>()).or_insert_with(|| Arc::<T>::default()).clone();
        drop(values);
        // It was put there under its own type.
        value.downcast().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn a_value_is_kept_by_its_type() {
        let memory = Memory::default();
        memory.get::<AtomicU64>().store(7, Ordering::Relaxed);
        assert_eq!(memory.get::<AtomicU64>().load(Ordering::Relaxed), 7);
        assert!(memory.get::<Mutex<Vec<u8>>>().lock().unwrap().is_empty());
    }
}
