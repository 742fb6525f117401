//! `crdgen [DIRECTORY]`: writes the CRD manifests, one file a kind, into the chart `tidewatch-crds`.

use std::path::PathBuf;
use std::process::ExitCode;

use tidewatch_crds::{all_crds, to_yaml};

fn main() -> ExitCode {
    let directory = std::env::args_os().nth(1).map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/tidewatch-crds/templates")),
        PathBuf::from,
    );
    match write_all(&directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crdgen: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write_all(directory: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    for crd in all_crds() {
        let path = directory.join(format!("{}.yaml", crd.spec.names.plural));
        std::fs::write(&path, to_yaml(&crd)?).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}
