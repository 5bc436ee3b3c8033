//! One suite per seam, and every engine behind the seam passes it.

mod blobs;
mod db;
mod status;
