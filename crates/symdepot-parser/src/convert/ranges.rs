//! Which addresses a function has been found for. It never overlaps: what is taken stays with the one that came first.

use std::collections::BTreeMap;

/// A set of half-open address ranges.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranges {
    /// Start -> end; neighbours that touch are one.
    ranges: BTreeMap<u64, u64>,
}

impl Ranges {
    /// Whether all of `start..end` is in the set.
    pub(crate) fn covers(&self, start: u64, end: u64) -> bool {
        start >= end || self.around(start).is_some_and(|(_, last)| last >= end)
    }

    /// Whether the address is in the set.
    pub(crate) fn contains(&self, address: u64) -> bool {
        self.around(address).is_some()
    }

    /// The range that holds the address.
    pub(crate) fn around(&self, address: u64) -> Option<(u64, u64)> {
        let (&start, &end) = self.ranges.range(..=address).next_back()?;
        (address < end).then_some((start, end))
    }

    /// Adds `start..end`.
    pub(crate) fn insert(&mut self, mut start: u64, mut end: u64) {
        if start >= end {
            return;
        }
        if let Some((&before, &last)) = self.ranges.range(..=start).next_back()
            && last >= start
        {
            if last >= end {
                return;
            }
            start = before;
        }
        while let Some((&next, &last)) = self.ranges.range(start..=end).next() {
            self.ranges.remove(&next);
            end = end.max(last);
        }
        self.ranges.insert(start, end);
    }

    /// The parts of `start..end` that are not in the set, lowest first.
    pub(crate) fn gaps(&self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let mut gaps = Vec::new();
        let mut at = self.around(start).map_or(start, |(_, last)| last);
        for (&next, &last) in self.ranges.range(start..end) {
            if next > at {
                gaps.push((at, next));
            }
            at = at.max(last);
        }
        if at < end {
            gaps.push((at, end));
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(ranges: &Ranges) -> Vec<(u64, u64)> {
        ranges.ranges.iter().map(|(&start, &end)| (start, end)).collect()
    }

    #[test]
    fn ranges_that_touch_become_one() {
        let mut ranges = Ranges::default();
        for (start, end) in [(10, 20), (30, 40), (20, 30), (5, 5), (38, 45), (12, 13)] {
            ranges.insert(start, end);
        }
        assert_eq!(all(&ranges), [(10, 45)]);
        assert!(ranges.covers(10, 45) && !ranges.covers(9, 11) && !ranges.covers(44, 46));
        assert!(ranges.contains(10) && !ranges.contains(45));
    }

    #[test]
    fn gaps_are_what_is_left_of_a_range() {
        let mut ranges = Ranges::default();
        ranges.insert(10, 20);
        ranges.insert(30, 40);
        assert_eq!(ranges.gaps(0, 50), [(0, 10), (20, 30), (40, 50)]);
        assert_eq!(ranges.gaps(15, 35), [(20, 30)]);
        assert_eq!(ranges.gaps(10, 20), []);
        assert_eq!(ranges.gaps(40, 41), [(40, 41)]);
    }
}
