//! A release of the plugin goes without symbols: it is copied to every node, and it aborts on a panic without unwinding.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo:rustc-link-arg-bins=-s");
    }
}
