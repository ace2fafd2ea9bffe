//! The process `evio-cni`: a runtime calls it with CNI_COMMAND, a person with `sweep`.

use std::io::{stdin, stdout, IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use evio_cni::verbs::{run, sweep_list};
use evio_cni::version::Version;

const USAGE: &str = "usage: evio-cni sweep [--dry-run] CONFLIST
Everything else a container runtime asks for by CNI_COMMAND and the other variables of the CNI specification.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => called(),
        ["sweep", path] => sweep(path, false),
        ["sweep", "--dry-run", path] => sweep(path, true),
        ["--version" | "--help" | "-h"] => {
            println!("{}\n{USAGE}", about());
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn called() -> ExitCode {
    let variable = |name: &str| std::env::var(name).ok();
    if variable("CNI_COMMAND").is_none() {
        eprintln!("{}\n{USAGE}", about());
    }
    // A person who tries a verb by hand is not made to type an end of file.
    let mut input: Box<dyn Read> = if stdin().is_terminal() { Box::new(std::io::empty()) } else { Box::new(stdin()) };
    if run(variable, &mut input, &mut stdout()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn sweep(path: &str, only_count: bool) -> ExitCode {
    match sweep_list(&PathBuf::from(path), only_count) {
        Ok(counts) => {
            println!("{counts}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("evio-cni: {error}");
            ExitCode::FAILURE
        }
    }
}

fn about() -> String {
    let versions = Version::ALL.map(Version::text).join(", ");
    format!("evio-cni {}, CNI plugin of Evio (CNI {versions})", env!("CARGO_PKG_VERSION"))
}
