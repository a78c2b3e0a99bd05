//! The number of processes of each route.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The number of processes of each route that has any.
#[derive(Debug, Default)]
pub(super) struct ProcessSlots(Mutex<HashMap<Arc<str>, usize>>);

/// A place among the processes of a route. Drop frees it.
#[derive(Debug)]
pub(super) struct ProcessSlot {
    slots: Arc<ProcessSlots>,
    route: Arc<str>,
}

impl ProcessSlots {
    /// Returns a place among the processes of a route, or `None` if it has as many as it may.
    pub(super) fn take(self: &Arc<Self>, route: &str, max_processes: usize) -> Option<ProcessSlot> {
        let mut slots = self.locked();
        let route = match slots.get_key_value(route) {
            Some((_, taken)) if *taken >= max_processes => return None,
            Some((route, _)) => Arc::clone(route),
            None => route.into(),
        };
        *slots.entry(Arc::clone(&route)).or_default() += 1;
        drop(slots);
        Some(ProcessSlot {
            slots: Arc::clone(self),
            route,
        })
    }

    /// Returns the number of processes of all routes.
    pub(super) fn taken(&self) -> usize {
        self.locked().values().sum()
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<Arc<str>, usize>> {
        // A panic while the lock was held cannot have left a number half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ProcessSlot {
    fn drop(&mut self) {
        let mut slots = self.slots.locked();
        if let Some(taken) = slots.get_mut(&self.route) {
            *taken -= 1;
            if *taken == 0 {
                slots.remove(&self.route);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::ProcessSlots;

    #[test]
    fn places_are_counted_by_route() {
        let slots = Arc::new(ProcessSlots::default());
        let first = slots.take("/a", 2);
        let second = slots.take("/a", 2);
        assert!(first.is_some() && second.is_some());
        assert!(slots.take("/a", 2).is_none());
        let other = slots.take("/b", 1);
        assert!(other.is_some());
        assert_eq!(slots.taken(), 3);
        drop(first);
        assert!(slots.take("/a", 2).is_some());
        drop((second, other));
        assert_eq!(slots.taken(), 0);
        assert!(slots.locked().is_empty());
    }
}
