//! [`Turns`]: which organizations this process served lately. It is forgotten with the process, which costs nobody more
//! than one turn; how much of each is under way is counted in the rows.

use std::collections::VecDeque;

/// Organizations that are told apart; of more, those that were served longest ago count as never served.
const REMEMBERED: usize = 1000;

/// Organizations in the order in which they were served, the last one at the end, each once.
#[derive(Debug, Default)]
pub(super) struct Turns(VecDeque<i64>);

impl Turns {
    /// The organizations in that order.
    pub(super) fn served(&mut self) -> &[i64] {
        self.0.make_contiguous()
    }

    /// An organization had its turn.
    pub(super) fn serve(&mut self, organization_id: i64) {
        self.0.retain(|id| *id != organization_id);
        self.0.push_back(organization_id);
        if self.0.len() > REMEMBERED {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_organization_stands_once_in_the_order_of_its_last_turn() {
        let mut turns = Turns::default();
        for id in [1, 2, 1, 3, 1] {
            turns.serve(id);
        }
        assert_eq!(turns.served(), [2, 3, 1]);
        (0..5000).for_each(|id| turns.serve(id));
        assert_eq!((turns.served().len(), turns.served()[0]), (REMEMBERED, 4000));
    }
}
