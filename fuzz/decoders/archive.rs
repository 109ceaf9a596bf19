//! Bundles, unpacked onto a real file system.

use slipway_agent::unpack::{BundleType, Limits, UnpackError, unpack};

/// A bundle of the type that its first bytes tell. Nothing may come to lie outside the destination.
pub(crate) fn archive(input: &[u8]) -> String {
    let kind = match input {
        [b'P', b'K', ..] => BundleType::Zip,
        [0x1f, 0x8b, ..] => BundleType::Tgz,
        _ => BundleType::Tar,
    };
    let directory = tempfile::tempdir().expect("a scratch directory");
    let bundle = directory.path().join("bundle");
    std::fs::write(&bundle, input).expect("a scratch file");
    let limits = Limits {
        max_size: 1 << 20,
        max_members: 1000,
        ratio_counts_from: 1 << 16,
        ignore_ownership: true,
        ..Limits::default()
    };
    let result = unpack(&bundle, kind, &directory.path().join("destination"), &limits);
    for entry in std::fs::read_dir(directory.path()).expect("a readable directory") {
        let name = entry.expect("a readable entry").file_name();
        assert!(
            name == "bundle" || name == "destination" && result.is_ok(),
            "{} was left behind",
            name.display()
        );
    }
    match result {
        Ok(_) => "ok",
        Err(UnpackError::Refused { .. }) => "refused",
        Err(UnpackError::Tar(_) | UnpackError::Zip(_)) => "damaged",
        Err(UnpackError::Io { .. } | UnpackError::DiskFull) => "host",
    }
    .to_owned()
}
