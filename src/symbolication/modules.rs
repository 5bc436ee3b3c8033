//! Which module contains an address. It never compares ids and never looks at a file.

use std::collections::BTreeSet;

use super::request::Module;

/// The address space, cut into parts that belong to one module each.
#[derive(Clone, Debug, Default)]
pub struct ModuleMap {
    /// First address, address behind the last one (2^64 at most), index of the module; in order, none overlaps another.
    parts: Vec<(u64, u128, usize)>,
}

impl ModuleMap {
    /// The map of these modules. A module at 0 is in no address space: only relative addresses lead to it.
    ///
    /// An address belongs to the module with the greatest beginning at or below it that has not ended; of two with the same
    /// beginning to the first. The work is that of sorting, however modules overlap.
    pub fn new(modules: &[Module]) -> Self {
        let mut order: Vec<_> = (0..modules.len()).filter(|at| modules[*at].image_addr.0 > 0).collect();
        order.sort_by_key(|at| (modules[*at].image_addr, *at));
        let mut ends: Vec<(u128, u64, usize)> = Vec::with_capacity(order.len());
        for (place, &at) in order.iter().enumerate() {
            let start = modules[at].image_addr.0;
            ends.push((end_of(modules, &order, place), start, at));
        }
        let mut cuts: BTreeSet<u128> = ends.iter().flat_map(|(end, start, _)| [u128::from(*start), *end]).collect();
        cuts.insert(1 << 64);
        let cuts: Vec<_> = cuts.into_iter().collect();
        let mut by_start = ends.clone();
        by_start.sort_by_key(|(_, start, at)| (*start, *at));
        let mut by_end = ends;
        by_end.sort_unstable();
        let (mut begun, mut over) = (by_start.into_iter().peekable(), by_end.into_iter().peekable());
        // Greatest beginning last; of equal ones the first of the request last.
        let mut active: BTreeSet<(u64, std::cmp::Reverse<usize>)> = BTreeSet::new();
        let mut parts: Vec<(u64, u128, usize)> = Vec::new();
        for pair in cuts.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            while let Some((_, start, at)) = begun.next_if(|(_, start, _)| u128::from(*start) <= from) {
                active.insert((start, std::cmp::Reverse(at)));
            }
            while let Some((_, start, at)) = over.next_if(|(end, ..)| *end <= from) {
                active.remove(&(start, std::cmp::Reverse(at)));
            }
            let (Some(&(_, std::cmp::Reverse(at))), Ok(first)) = (active.last(), u64::try_from(from)) else { continue };
            match parts.last_mut() {
                Some(last) if last.1 == from && last.2 == at => last.1 = to,
                _ => parts.push((first, to, at)),
            }
        }
        Self { parts }
    }

    /// Index of the module that contains an address.
    pub fn find(&self, address: u64) -> Option<usize> {
        let behind = self.parts.partition_point(|part| part.0 <= address);
        let (_, end, at) = self.parts.get(behind.checked_sub(1)?)?;
        (u128::from(address) < *end).then_some(*at)
    }
}

/// The address behind the last one of a module.
fn end_of(modules: &[Module], order: &[usize], place: usize) -> u128 {
    let module = &modules[order[place]];
    let start = module.image_addr.0;
    match module.size() {
        Some(size) => (u128::from(start) + u128::from(size)).min(1 << 64),
        None => {
            let behind = order.partition_point(|at| modules[*at].image_addr.0 <= start);
            order.get(behind).map_or(1 << 64, |next| u128::from(modules[*next].image_addr.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbolication::request::Address;

    fn map(modules: &[(u64, Option<u64>)]) -> ModuleMap {
        let module = |&(start, size): &(u64, Option<u64>)| Module {
            image_addr: Address(start),
            image_size: size.map(Address),
            ..Module::default()
        };
        ModuleMap::new(&modules.iter().map(module).collect::<Vec<_>>())
    }

    #[test]
    fn an_address_is_in_the_module_that_begins_last_and_has_not_ended() {
        let map = map(&[(0x3000, Some(0x1000)), (0x1000, Some(0x5000)), (0x2000, None), (0x3000, Some(0x2000))]);
        let found: Vec<_> = [0xfff, 0x1000, 0x2000, 0x2fff, 0x3000, 0x3fff, 0x4000, 0x4fff, 0x5000, 0x5fff, 0x6000]
            .into_iter()
            .map(|address| map.find(address))
            .collect();
        let (none, outer, open, first, second) = (None, Some(1), Some(2), Some(0), Some(3));
        assert_eq!(found, [none, outer, open, open, first, first, second, second, outer, outer, none]);
    }

    #[test]
    fn the_last_module_without_a_size_has_no_end_and_sizes_that_overflow_end_with_the_memory() {
        assert_eq!(map(&[(0x1000, None)]).find(u64::MAX), Some(0));
        assert_eq!(map(&[(0x1000, Some(0))]).find(u64::MAX), Some(0), "0 is no size");
        assert_eq!(map(&[(u64::MAX - 1, Some(u64::MAX))]).find(u64::MAX), Some(0));
        assert_eq!(map(&[(u64::MAX, Some(1))]).find(u64::MAX), Some(0));
        assert_eq!(map(&[(0x1000, None), (0x2000, None)]).find(0x1fff), Some(0));
        assert_eq!(map(&[(0, Some(0x1000))]).find(0x10), None, "a module at 0 has no absolute addresses");
        assert_eq!(map(&[]).find(7), None);
    }

    #[test]
    fn modules_within_each_other_make_no_more_parts_than_beginnings_and_ends() {
        let nested: Vec<_> = (0..20_000).map(|n| (n + 1, Some(100_000 - 2 * n))).collect();
        let map = map(&nested);
        assert!(map.parts.len() <= 2 * nested.len());
        assert_eq!(map.find(1), Some(0));
        assert_eq!(map.find(20_000), Some(19_999));
    }
}
