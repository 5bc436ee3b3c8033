//! A hostile or busy neighbour beside an honest client: one file for each kind of attack. What an attack may cost is
//! asserted in work done, never in time.

mod assemble_bodies;
mod section_headers;
