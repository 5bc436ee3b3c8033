//! A hostile or busy neighbour beside an honest client, who is answered all the same. What is asserted is the order of
//! things and the amount of work, never a duration.

mod short_tasks;
