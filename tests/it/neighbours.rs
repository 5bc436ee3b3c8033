//! A hostile or busy neighbour beside an honest client: what one of them does never stops the others.

mod assemble_bodies;
