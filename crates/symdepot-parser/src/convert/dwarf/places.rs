//! Which inlined call an address belongs to, where ranges nest, have gaps or overlap by mistake. It looks at ranges alone.

use std::collections::BinaryHeap;

use super::entries::OUTERMOST;

/// An address range and the innermost inlined call there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// First address.
    pub start: u64,
    /// Address behind it.
    pub end: u64,
    /// Index of the inlined call, or [`OUTERMOST`].
    pub call: u32,
}

/// Where ranges overlap the one with the highest index wins: what is nested comes after what it is nested in, and of siblings
/// the later one, as LLVM has it. The result is sorted, does not overlap, and leaves out what is in no range.
pub(super) fn innermost(mut ranges: Vec<(u64, u64, u32)>) -> Vec<Place> {
    ranges.sort_unstable();
    let mut places: Vec<Place> = Vec::with_capacity(ranges.len());
    // Those that have begun, by index.
    let mut begun: BinaryHeap<(u32, u64)> = BinaryHeap::new();
    let (mut next, mut at) = (0, 0);
    loop {
        while begun.peek().is_some_and(|top| top.1 <= at) {
            begun.pop();
        }
        if begun.is_empty() {
            let Some(range) = ranges.get(next) else { return places };
            at = at.max(range.0);
        }
        while let Some(range) = ranges.get(next).filter(|range| range.0 <= at) {
            begun.push((range.2, range.1));
            next += 1;
        }
        let Some(&(call, end)) = begun.peek().filter(|top| top.1 > at) else { continue };
        let end = ranges.get(next).map_or(end, |range| range.0.min(end));
        match places.last_mut() {
            Some(last) if last.call == call && last.end == at => last.end = end,
            _ => places.push(Place { start: at, end, call }),
        }
        at = end;
    }
}

/// The places of one part of a function, with what is in no inlined call between them.
pub(super) fn within(places: &[Place], start: u64, end: u64) -> Vec<Place> {
    let first = places.partition_point(|place| place.end <= start);
    let mut all = Vec::new();
    let mut at = start;
    for place in places[first..].iter().take_while(|place| place.start < end) {
        let begin = place.start.max(at);
        if begin > at {
            all.push(Place { start: at, end: begin, call: OUTERMOST });
        }
        at = place.end.min(end);
        all.push(Place { start: begin, end: at, call: place.call });
    }
    if at < end {
        all.push(Place { start: at, end, call: OUTERMOST });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn innermost_of(ranges: &[(u64, u64, u32)]) -> Vec<(u64, u64, u32)> {
        innermost(ranges.to_vec()).into_iter().map(|place| (place.start, place.end, place.call)).collect()
    }

    #[test]
    fn what_is_nested_wins_and_what_is_behind_it_goes_on() {
        assert_eq!(
            innermost_of(&[(0, 100, 0), (10, 20, 1), (12, 15, 2), (50, 60, 1)]),
            [(0, 10, 0), (10, 12, 1), (12, 15, 2), (15, 20, 1), (20, 50, 0), (50, 60, 1), (60, 100, 0)]
        );
    }

    #[test]
    fn of_siblings_that_overlap_the_later_one_wins() {
        assert_eq!(innermost_of(&[(0, 20, 0), (10, 30, 1)]), [(0, 10, 0), (10, 30, 1)]);
        assert_eq!(innermost_of(&[(0, 20, 1), (10, 30, 0)]), [(0, 20, 1), (20, 30, 0)]);
    }

    #[test]
    fn a_part_of_a_function_has_a_place_for_every_address() {
        let places = innermost(vec![(10, 20, 0), (30, 50, 1)]);
        let calls: Vec<_> = within(&places, 15, 40).iter().map(|place| (place.start, place.end, place.call)).collect();
        assert_eq!(calls, [(15, 20, 0), (20, 30, OUTERMOST), (30, 40, 1)]);
        assert_eq!(within(&[], 1, 2).len(), 1);
    }
}
