//! Which events of an issue are stored when not all are: the more there are, the fewer. It keeps no state.

/// Whether the event with this number in its issue, from 1 on, is stored.
pub fn keeps(number: i64) -> bool {
    let one_of = match number {
        ..=50 => 1,
        51..=1_000 => 2,
        1_001..=10_000 => 10,
        10_001..=100_000 => 50,
        100_001..=1_000_000 => 300,
        1_000_001..=10_000_000 => 2_000,
        _ => 10_000,
    };
    number % one_of == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fifty_are_stored_and_then_ever_fewer() {
        let stored = |from: i64, to: i64| (from..=to).filter(|number| keeps(*number)).count();
        assert_eq!(stored(1, 50), 50);
        assert_eq!(stored(51, 1_000), 475);
        assert_eq!(stored(1_001, 10_000), 900);
        assert_eq!(stored(10_001, 100_000), 1_800);
        assert_eq!(stored(100_001, 1_000_000), 3_000);
        assert!(keeps(10_000_000) && !keeps(10_002_000) && keeps(10_010_000));
    }
}
