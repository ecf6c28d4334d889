//! What plugins keep for as long as the process runs: a reload makes new plugins, and their counts must not begin anew.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

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

/// What there is one of for each target, however often the configuration is reloaded, and for as long as a plugin has it: whatever writes
/// to a file, or sends to a collector. A plugin keeps it in its [`Memory`].
pub struct OneEach<K, V>(Mutex<Vec<(K, Weak<V>)>>);

impl<K, V> Default for OneEach<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: PartialEq, V> OneEach<K, V> {
    /// The one of this target; made if nobody has it.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn of<E>(&self, target: K, make: impl FnOnce(&K) -> Result<V, E>) -> Result<Arc<V>, E> {
        // What is in it is whole at every moment.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, one)| one.strong_count() > 0);
        let found = all.iter().find(|(other, _)| *other == target);
        if let Some(one) = found.and_then(|(_, one)| one.upgrade()) {
            return Ok(one);
        }
        let one = Arc::new(make(&target)?);
        all.push((target, Arc::downgrade(&one)));
        Ok(one)
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

    #[test]
    fn there_is_one_for_each_target_while_somebody_has_it() {
        let all = OneEach::default();
        let of = |target: &'static str, value: u32| all.of(target, |_| Ok::<_, ()>(value)).unwrap();
        let (first, other) = (of("a", 1), of("b", 2));
        assert_eq!((*of("a", 3), *other), (1, 2));
        assert_eq!(all.of("c", |_| Err("it cannot be made")), Err("it cannot be made"));
        drop(first);
        assert_eq!(*of("a", 4), 4);
    }
}
