//! A bounded map that forgets what was not used for longest.

use std::{collections::HashMap, hash::Hash, sync::Arc};

/// How much an [`Lru`] holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Entries at most.
    pub(crate) entries: usize,
    /// Weight of all entries at most.
    pub(crate) weight: usize,
}

/// Entries in the order in which they were used, within bounds.
pub(crate) struct Lru<K, V> {
    bounds: Bounds,
    places: HashMap<Arc<K>, usize>,
    /// The entries with their neighbours in the order of use; places of removed ones are free.
    nodes: Vec<Option<Node<K, V>>>,
    free: Vec<usize>,
    newest: Option<usize>,
    oldest: Option<usize>,
    weight: usize,
}

struct Node<K, V> {
    key: Arc<K>,
    value: V,
    weight: usize,
    newer: Option<usize>,
    older: Option<usize>,
}

impl<K: Eq + Hash, V> Lru<K, V> {
    /// Makes an empty map.
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            places: HashMap::new(),
            nodes: Vec::new(),
            free: Vec::new(),
            newest: None,
            oldest: None,
            weight: 0,
        }
    }

    /// Gives an entry, which becomes the one that was used last.
    pub(crate) fn get(&mut self, key: &K) -> Option<&mut V> {
        let place = *self.places.get(key)?;
        if self.newest != Some(place) {
            self.unlink(place);
            self.link(place);
        }
        self.node(place).map(|node| &mut node.value)
    }

    /// Gives an entry without counting that as use.
    pub(crate) fn peek(&mut self, key: &K) -> Option<&mut V> {
        let place = *self.places.get(key)?;
        self.node(place).map(|node| &mut node.value)
    }

    /// Puts an entry in, in place of one of the same key, and tells how many had to go for it.
    pub(crate) fn put(&mut self, key: K, value: V, weight: usize) -> usize {
        self.remove(&key);
        let key = Arc::new(key);
        let node = Node { key: Arc::clone(&key), value, weight, newer: None, older: None };
        let place = self.free.pop().unwrap_or(self.nodes.len());
        match self.nodes.get_mut(place) {
            Some(free) => *free = Some(node),
            None => self.nodes.push(Some(node)),
        }
        self.places.insert(key, place);
        self.weight += weight;
        self.link(place);
        let mut evicted = 0;
        while self.len() > self.bounds.entries || self.weight > self.bounds.weight {
            let Some(oldest) = self.oldest else { break };
            self.take(oldest);
            evicted += 1;
        }
        evicted
    }

    /// Removes an entry, if it is there.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let place = *self.places.get(key)?;
        self.take(place)
    }

    /// Counts the entries.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Gives the most that all entries may weigh.
    pub(crate) fn weight_max(&self) -> usize {
        self.bounds.weight
    }

    /// Gives all entries, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.nodes.iter().flatten().map(|node| (&*node.key, &node.value))
    }

    fn node(&mut self, place: usize) -> Option<&mut Node<K, V>> {
        self.nodes.get_mut(place)?.as_mut()
    }

    fn take(&mut self, place: usize) -> Option<V> {
        self.unlink(place);
        let node = self.nodes.get_mut(place)?.take()?;
        self.places.remove(&node.key);
        self.free.push(place);
        self.weight -= node.weight;
        Some(node.value)
    }

    /// Takes an entry out of the order of use.
    fn unlink(&mut self, place: usize) {
        let Some(node) = self.node(place) else { return };
        let (newer, older) = (node.newer.take(), node.older.take());
        match newer.and_then(|newer| self.node(newer)) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
        match older.and_then(|older| self.node(older)) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
    }

    /// Puts an entry at the new end of the order of use.
    fn link(&mut self, place: usize) {
        let before = self.newest.replace(place);
        match before.and_then(|before| self.node(before)) {
            Some(before) => before.newer = Some(place),
            None => self.oldest = Some(place),
        }
        if let Some(node) = self.node(place) {
            node.older = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lru(entries: usize, weight: usize) -> Lru<&'static str, u32> {
        Lru::new(Bounds { entries, weight })
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut lru = lru(2, 100);
        assert_eq!(lru.put("a", 1, 1), 0);
        assert_eq!(lru.put("b", 2, 1), 0);
        assert_eq!(lru.get(&"a"), Some(&mut 1));
        assert_eq!(lru.put("c", 3, 1), 1);
        assert_eq!(["a", "b"].map(|key| lru.peek(&key).copied()), [Some(1), None]);
        // Looking without using does not save an entry, and putting it again does.
        assert_eq!(lru.peek(&"a"), Some(&mut 1));
        lru.put("c", 4, 1);
        assert_eq!(lru.put("d", 5, 1), 1);
        assert_eq!(["a", "c"].map(|key| lru.peek(&key).copied()), [None, Some(4)]);
    }

    #[test]
    fn weight_is_bounded_too() {
        let mut lru = lru(100, 10);
        lru.put("a", 1, 4);
        lru.put("b", 2, 4);
        assert_eq!(lru.put("c", 3, 9), 2);
        assert_eq!(lru.put("too heavy", 4, 11), 2);
        assert_eq!((lru.len(), lru.weight), (0, 0));
    }

    #[test]
    fn removal_frees_a_place() {
        let mut lru = lru(2, 100);
        assert_eq!(lru.remove(&"a"), None);
        for round in 0..3 {
            lru.put("a", round, 1);
            lru.put("b", round, 1);
            assert_eq!(lru.remove(&"a"), Some(round));
            assert_eq!(lru.put("c", round, 1), 0);
            assert_eq!(lru.remove(&"c"), Some(round));
        }
        assert_eq!(lru.nodes.len(), 2);
        assert_eq!(lru.iter().collect::<Vec<_>>(), [(&"b", &2)]);
    }

    /// A hundred thousand random steps against the plainest list there is.
    #[test]
    fn it_does_what_a_list_would_do() {
        let mut lru: Lru<u64, u64> = Lru::new(Bounds { entries: 8, weight: 40 });
        let mut list: Vec<(u64, u64, usize)> = Vec::new();
        let mut seed = 1_u64;
        for step in 0..100_000 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let (key, weight) = (seed >> 8 & 15, (seed >> 16 & 15) as usize);
            let at = list.iter().position(|(own, ..)| *own == key);
            match seed & 3 {
                0 => {
                    let found = at.map(|at| list.remove(at));
                    list.extend(found);
                    assert_eq!(lru.get(&key).copied(), found.map(|(_, value, _)| value));
                }
                1 => {
                    let found = at.map(|at| list.remove(at).1);
                    assert_eq!(lru.remove(&key), found);
                }
                _ => {
                    at.map(|at| list.remove(at));
                    list.push((key, step, weight));
                    let mut evicted = 0;
                    while list.len() > 8
                        || list.iter().map(|(.., weight)| weight).sum::<usize>() > 40
                    {
                        list.remove(0);
                        evicted += 1;
                    }
                    assert_eq!(lru.put(key, step, weight), evicted);
                }
            }
            assert_eq!(lru.len(), list.len());
        }
    }
}
