//! Bundles that were made to hurt (`tests/hostile/make.py`): what happens to each, and that nothing else happens.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use slipway_agent::client::Diagnostics;
use slipway_agent::unpack::{BundleType, Limits, unpack};

const OUT: &str = "leads out of the bundle";
const ABSOLUTE: &str = "its path is absolute";
const THROUGH: &str = "its path leads through a symbolic link of the bundle";
const DEVICE: &str = "devices and pipes are not allowed in bundles";
const ABSENT: &str = "it is a link to a member that is not in the bundle";
const RATIO: &str = "the bundle unpacks to more than 100 times its size";

/// What happens to a bundle.
enum Outcome {
    /// It is refused, with this member named and this said of it.
    Refused(&'static str, &'static str),
    /// It cannot be read: this is said.
    Damaged(&'static str),
    /// It does no harm: this is what is in the revision, beside the AppSpec file.
    Contained(&'static [(&'static str, &'static str)]),
}
use Outcome::{Contained, Damaged, Refused};

#[rustfmt::skip]
const BUNDLES: &[(&str, Outcome)] = &[
    // Paths.
    ("traversal.tar", Refused("../escaped", OUT)),
    ("traversal-from-inside.tar", Refused("a/b/../../../escaped", OUT)),
    ("traversal-absolute.tar", Refused("/tmp/slipway-hostile-escaped", ABSOLUTE)),
    ("traversal-double-slash.tar", Refused("//tmp/slipway-hostile-escaped", ABSOLUTE)),
    ("traversal-long-name.tar", Refused("../../../", OUT)),
    ("traversal-pax.tgz", Refused("../escaped", OUT)),
    ("traversal-pax-global.tar", Contained(&[("harmless", "x")])),
    ("traversal-prefix.tar", Refused("../escaped", OUT)),
    ("traversal.zip", Refused("../escaped", OUT)),
    ("traversal-from-inside.zip", Refused("a/../../escaped", OUT)),
    ("traversal-absolute.zip", Refused("/tmp/slipway-hostile-escaped", ABSOLUTE)),
    ("traversal-of-windows.zip", Contained(&[("..\\..\\escaped", "x")])),
    ("traversal-in-the-local-header.zip", Contained(&[("good", "x")])),
    ("traversal-in-the-unicode-field.zip", Refused("../escaped", OUT)),
    // Symbolic links.
    ("link-absolute.tar", Refused("l", "a symbolic link to /etc/passwd; it leads out")),
    ("link-out.tar", Refused("a/l", OUT)),
    ("link-chain-out.tar", Refused("one", OUT)),
    ("link-circle.tar", Refused("one", "lead in a circle")),
    ("link-many-circles.tar", Refused("l0", "lead in a circle")),
    ("link-empty.tar", Refused("l", "a link to nowhere")),
    ("link-pax-target.tar", Refused("l", "a symbolic link to /etc/passwd; it leads out")),
    ("link-write-through.tar", Refused("d/slipway-hostile-escaped", THROUGH)),
    ("link-write-through-relative.tar", Refused("d/victim", THROUGH)),
    ("link-write-through-inside.tar", Refused("d/f", THROUGH)),
    ("link-write-through-twice.tar", Refused("d", "another member made a directory of this name")),
    ("link-then-file.tar", Contained(&[("l", "mine")])),
    ("link-after-its-directory-is-gone.tar", Refused("r/l", OUT)),
    ("link-absolute.zip", Refused("l", "a symbolic link to /etc/passwd; it leads out")),
    ("link-out.zip", Refused("a/l", OUT)),
    ("link-write-through.zip", Refused("d/slipway-hostile-escaped", THROUGH)),
    ("link-to-a-very-long-path.zip", Refused("l", "a symbolic link to nowhere")),
    ("link-with-nul.zip", Refused("l", "a symbolic link to nowhere")),
    // Hard links.
    ("hard-link-absolute.tar", Refused("h", ABSOLUTE)),
    ("hard-link-out.tar", Refused("h", OUT)),
    ("hard-link-through-a-link.tar", Refused("h", ABSENT)),
    ("hard-link-to-a-link.tar", Refused("h", OUT)),
    ("hard-link-to-itself.tar", Refused("h", ABSENT)),
    ("hard-link-to-a-directory.tar", Refused("h", ABSENT)),
    ("hard-link-then-write.tar", Contained(&[("a", "first"), ("b", "second")])),
    // Other kinds.
    ("device-character.tar", Refused("null", DEVICE)),
    ("device-block.tar", Refused("disk", DEVICE)),
    ("device.zip", Refused("null", DEVICE)),
    ("pipe.tar", Refused("pipe", DEVICE)),
    ("pipe.zip", Refused("pipe", DEVICE)),
    ("pipe-as-appspec.tar", Refused("appspec.yml", DEVICE)),
    ("kind-unknown.tar", Contained(&[("odd", "odd")])),
    ("setuid.tar", Contained(&[("su", "#!/bin/sh\n")])),
    ("setuid.zip", Contained(&[("su", "#!/bin/sh\n")])),
    // Numbers.
    ("owner-beyond-all-numbers.tar", Contained(&[("f", "x")])),
    ("time-beyond-all-numbers.tar", Contained(&[("f", "x")])),
    ("time-before-all-numbers.tar", Contained(&[("f", "x")])),
    ("size-negative.tar", Damaged("size overflow")),
    ("size-beyond-the-end.tar", Damaged("unexpected end of the archive in f")),
    ("size-pax-lies.tar", Damaged("size overflow")),
    ("size-no-number.tar", Damaged("numeric field was not a number: zzz")),
    ("size-too-small.zip", Refused("f", "it has 5000 bytes and says 1")),
    ("size-too-large.zip", Refused("f", "the bundle unpacks to more than 8388608 bytes")),
    ("size-a-little-too-large.zip", Refused("f", "it has 5000 bytes and says 5001")),
    ("size-of-packed-too-large.zip", Contained(&[("f", "xxxxx")])),
    ("zip64.zip", Contained(&[("f", "long form")])),
    ("zip64-count.zip", Damaged("the archive has 1099511627776 members; more than 500 are not accepted")),
    ("zip64-sizes-lie.zip", Refused("f", "the bundle unpacks to more than 8388608 bytes")),
    ("count-too-high.zip", Damaged("the archive has 60000 members; more than 500 are not accepted")),
    ("count-too-low.zip", Contained(&[])),
    // Bombs.
    ("bomb-size.tar", Refused("large", "the bundle unpacks to more than 8388608 bytes")),
    ("bomb-ratio.tgz", Refused("zeros", RATIO)),
    ("bomb-ratio.zip", Refused("zeros", RATIO)),
    ("bomb-members.tgz", Refused("f499", "the bundle has more than 500 members")),
    ("bomb-members.zip", Damaged("the archive has 601 members; more than 500 are not accepted")),
    ("bomb-directories.tgz", Refused("3/d/d/d", "the bundle has more than 500 members")),
    ("bomb-sparse.tar", Refused("sparse", RATIO)),
    ("bomb-sparse-pax.tar", Refused("sparse", "sparse files of this format are not supported")),
    ("bomb-header.tgz", Damaged("the headers of a member never end")),
    ("bomb-pax-header.tgz", Damaged("the headers of a member never end")),
    ("bomb-after-the-end.tgz", Damaged("what follows its last member never ends")),
    ("bomb-in-an-ignored-member.tgz", Contained(&[("f", "x")])),
    ("bomb-gzip-of-gzip.tgz", Damaged("numeric field was not a number")),
    ("bomb-many-gzip-members.tgz", Contained(&[("f", "x")])),
    ("bomb-overlapping.zip", Refused("zeros", RATIO)),
    // Names.
    ("name-deep.tar", Refused("d/d/d/d", "its path is too deep")),
    ("name-deep.zip", Refused("d/d/d/d", "its path is too deep")),
    ("name-long.tar", Refused("nnnn", "a name in its path is too long")),
    ("path-long.tar", Refused("nnnn", "its path is too long")),
    ("name-with-nul.tar", Refused("a\0b", "its name holds a NUL character")),
    ("name-with-nul.zip", Refused("a\0b", "its name holds a NUL character")),
    ("name-empty.tar", Contained(&[])),
    ("name-empty.zip", Contained(&[])),
    ("name-dots.tar", Refused("d/..", OUT)),
    ("name-with-line-break.tar", Contained(&[("a\nb", "x")])),
    ("name-for-terminals.tar", Refused("\x1b]0;owned\x07\x1b[2J../../x", OUT)),
    ("name-not-text.tar", Contained(&[("\u{fffd}\u{fffd}\u{fffd}", "x")])),
    ("name-not-text.zip", Contained(&[("caf\u{e9}", "x")])),
    ("name-of-windows.tar", Contained(&[("..\\..\\escaped", "x"), ("C:\\escaped", "x")])),
    ("name-as-an-option.tar", Contained(&[("--checkpoint-action=exec=sh", "x"), ("-rf", "x")])),
    ("name-case.tar", Contained(&[("APPSPEC.YML", "another"), ("AppSpec.yml", "other")])),
    ("name-composed.tar", Contained(&[("cafe\u{301}", "2"), ("caf\u{e9}", "1")])),
    ("name-of-the-agents-own.tar",
        Contained(&[(".slipway-0000000000000000.new", "x"), (".slipway-removing-1", "x")])),
    // The same name twice.
    ("duplicate-file.tar", Contained(&[("f", "last")])),
    ("duplicate-file.zip", Contained(&[("f", "last")])),
    ("duplicate-file-and-directory.tar", Refused("f/", "its path leads through a file of the bundle")),
    ("duplicate-file-and-directory.zip", Refused("f/", "its path leads through a file of the bundle")),
    ("duplicate-directory-and-file.tar", Refused("f", "another member made a directory of this name")),
    ("directory-with-content.zip", Contained(&[("d/", ""), ("d/f", "x")])),
    // Damage.
    ("truncated-content.tar", Damaged("unexpected end of the archive in f")),
    ("truncated-header.tar", Damaged("failed to read entire block")),
    ("truncated.tgz", Damaged("incomplete deflate stream")),
    ("truncated.zip", Damaged("Could not find EOCD")),
    ("garbage-between-members.tar", Damaged("numeric field did not have utf-8 text")),
    ("garbage-between-members.zip", Contained(&[("f", "x")])),
    ("garbage-after-the-end.tar", Contained(&[("a", "x")])),
    ("garbage-before.zip", Contained(&[("f", "x")])),
    ("members-after-the-end.tar", Contained(&[("a", "x")])),
    ("comment-with-another-end.zip", Damaged("the archive has 60000 members; more than 500 are not accepted")),
    ("checksum-wrong.tar", Damaged("archive header checksum mismatch")),
    ("checksum-wrong.zip", Damaged("Invalid checksum in f")),
    ("checksum-of-gzip-wrong.tgz", Damaged("does not have a matching checksum")),
    ("compression-lies.zip", Damaged("corrupt deflate stream in f")),
    ("compression-unknown.zip", Damaged("Zip archive")),
    ("encrypted.zip", Refused("secret", "it is encrypted")),
    ("empty.tar", Contained(&[])),
    ("end-only.zip", Contained(&[])),
    ("noise.tar", Damaged("numeric field did not have utf-8 text")),
    ("noise.tgz", Damaged("corrupt deflate stream")),
    ("noise.zip", Damaged("Could not find EOCD")),
    ("a-tar-archive.zip", Damaged("Could not find EOCD")),
];

/// Small enough that a bomb goes off at once.
fn limits() -> Limits {
    Limits {
        max_size: 8 << 20,
        max_members: 500,
        max_ratio: 100,
        ratio_counts_from: 1 << 20,
        ..Limits::default()
    }
}

/// Every path below a directory with its first bytes; empty directories only.
fn tree(root: &Path, directory: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            tree(root, &path, found);
            found.insert(format!("{name}/"), String::new());
        } else if metadata.is_symlink() {
            found.insert(name, format!("-> {}", fs::read_link(&path).unwrap().display()));
        } else {
            assert_eq!(metadata.nlink(), 1, "{name}");
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            found.insert(name, if text.starts_with("xxxxx") { "xxxxx".to_owned() } else { text });
        }
    }
}

/// What is wrong with the outcome, if anything is.
fn judge(bundle: &Path, expected: &Outcome) -> Result<(), String> {
    let home = tempfile::tempdir().unwrap();
    let (root, target) = (home.path().join("root"), home.path().join("root/revision"));
    fs::create_dir(&root).unwrap();
    fs::write(root.join("victim"), "untouched").unwrap();
    let kind = BundleType::from_name(bundle.extension().and_then(|kind| kind.to_str()).unwrap());
    let started = Instant::now();
    let outcome = unpack(bundle, kind, &target, &limits());
    if started.elapsed() > Duration::from_secs(40) {
        return Err(format!("it took {:?}", started.elapsed()));
    }
    let mut around = BTreeMap::new();
    tree(&root, &root, &mut around);
    around.retain(|name, _| !name.starts_with("revision/"));
    if around != BTreeMap::from([("victim".to_owned(), "untouched".to_owned())]) {
        return Err(format!("something was left beside the revision: {around:?}"));
    }
    if fs::symlink_metadata("/tmp/slipway-hostile-escaped").is_ok() || home.path().join("escaped").exists() {
        return Err("it escaped".to_owned());
    }
    match (outcome, expected) {
        (Ok(_), Contained(members)) => {
            let mut found = BTreeMap::new();
            tree(&target, &target, &mut found);
            found.remove("appspec.yml");
            let members: BTreeMap<String, String> =
                members.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
            if found == members { Ok(()) } else { Err(format!("the revision holds {found:?}")) }
        }
        (Ok(unpacked), _) => Err(format!("it was taken: {unpacked:?}")),
        (Err(error), expected) => {
            let text = error.to_string();
            let report = Diagnostics::failure(text.as_str()).message;
            if target.exists() || report.chars().any(char::is_control) || report.len() > 1500 {
                return Err(format!("a revision stays, or the report is unreadable: {report:?}"));
            }
            let is_expected = match expected {
                Refused(member, reason) => {
                    text.starts_with(&format!("The bundle was refused because of its member {member}"))
                        && text.contains(reason)
                }
                Damaged(reason) => text.starts_with("Error extracting ") && text.contains(reason),
                Contained(_) => false,
            };
            if is_expected { Ok(()) } else { Err(text) }
        }
    }
}

#[test]
fn d_17_every_hostile_bundle_is_refused_or_contained() {
    let made = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/make.py");
    let status =
        Command::new("python3").arg(script).arg(made.path()).status().expect("python3 makes the bundles");
    assert!(status.success());
    let mut unexpected = Vec::new();
    for (name, expected) in BUNDLES {
        if let Err(reason) = judge(&made.path().join(name), expected) {
            unexpected.push(format!("{name}: {reason}"));
        }
    }
    let count = fs::read_dir(made.path()).unwrap().count();
    assert_eq!(count, BUNDLES.len(), "what happens to each bundle is said here");
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
}

#[test]
fn ap_30_the_stricter_switches_refuse_what_is_contained_otherwise() {
    let made = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/make.py");
    assert!(Command::new("python3").arg(script).arg(made.path()).status().unwrap().success());
    let strict = Limits { reject_unsafe_permissions: true, reject_symlinks: true, ..limits() };
    for (name, reason) in
        [("setuid.tar", "set-user-id"), ("link-then-file.tar", "symbolic links are not allowed")]
    {
        let target = made.path().join("revision");
        let error = unpack(&made.path().join(name), BundleType::Tar, &target, &strict).unwrap_err();
        assert!(error.to_string().contains(reason), "{name}: {error}");
    }
    // A zip archive's set-user-id bits are dropped, as unzip drops them.
    let target = made.path().join("revision");
    unpack(&made.path().join("setuid.zip"), BundleType::Zip, &target, &limits()).unwrap();
    assert_eq!(fs::metadata(target.join("su")).unwrap().mode() & 0o7777, 0o755);
}
