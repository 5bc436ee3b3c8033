//! Has the crate compiled anew when a migration is added, because the migrations are part of it.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
