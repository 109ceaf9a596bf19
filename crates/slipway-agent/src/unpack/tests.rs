//! What a bundle may do to a host, and what it leaves behind when it fails.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tar::{Builder, EntryType, Header};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{BundleType, Limits, UnpackError, Unpacked, macosx_note, unpack};
use crate::sys::files::is_root;

/// A deployment directory with a bundle in it.
struct Host {
    directory: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn archive(&self) -> PathBuf {
        self.directory.path().join("deployment-archive")
    }

    fn unpack_with(&self, bundle: &[u8], kind: BundleType, limits: &Limits) -> Result<Unpacked, UnpackError> {
        let path = self.directory.path().join("bundle.tar");
        fs::write(&path, bundle).unwrap();
        unpack(&path, kind, &self.archive(), limits)
    }

    fn unpack(&self, bundle: &[u8], kind: BundleType) -> Result<Unpacked, UnpackError> {
        self.unpack_with(bundle, kind, &Limits::default())
    }

    /// Every path below the archive with its content.
    fn tree(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        collect(&self.archive(), &self.archive(), &mut found);
        found
    }

    #[track_caller]
    fn left_nothing(&self) {
        let names: Vec<_> =
            fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["bundle.tar"]);
    }
}

fn collect(root: &Path, directory: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            collect(root, &path, found);
            found.insert(format!("{name}/"), String::new());
        } else if metadata.is_symlink() {
            found.insert(name, format!("-> {}", fs::read_link(&path).unwrap().display()));
        } else {
            found.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

/// One member of a tar archive, its name written raw: the library would refuse the bad ones.
fn member(name: &str, kind: EntryType, link: &str, mode: u32, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_500_000_000);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(name: &str, content: &str) -> Vec<u8> {
    member(name, EntryType::Regular, "", 0o644, content.as_bytes())
}

fn link(name: &str, target: &str) -> Vec<u8> {
    member(name, EntryType::Symlink, target, 0o777, b"")
}

fn directory(name: &str) -> Vec<u8> {
    member(name, EntryType::Directory, "", 0o755, b"")
}

fn tarball(members: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = members.concat();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zip_of(members: &[(&str, u32, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, mode, content) in members {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        match mode & 0o170_000 {
            0o120_000 => writer.add_symlink(*name, *content, options).unwrap(),
            0o040_000 => writer.add_directory(*name, options.unix_permissions(*mode)).unwrap(),
            _ => {
                writer.start_file(*name, options.unix_permissions(*mode)).unwrap();
                writer.write_all(content.as_bytes()).unwrap();
            }
        }
    }
    writer.finish().unwrap().into_inner()
}

fn refusal(error: &UnpackError) -> (&str, &str) {
    match error {
        UnpackError::Refused { member, reason } => (member, reason),
        other => panic!("not a refusal: {other}"),
    }
}

#[test]
fn as_007_tar_tgz_and_zip_unpack_to_the_same_tree() {
    let tar = tarball(&[
        directory("./"),
        file("./appspec.yml", "version: 0.0\n"),
        file("a/b/.dot", "x"),
        directory("e/"),
    ]);
    let zip =
        zip_of(&[("appspec.yml", 0o644, "version: 0.0\n"), ("a/b/.dot", 0o644, "x"), ("e/", 0o040_755, "")]);
    for (bundle, kind) in [
        (tar.clone(), BundleType::Tar),
        (gzip(&tar), BundleType::Tgz),
        (gzip(&tar), BundleType::from_name("unheard-of")),
        (zip, BundleType::Zip),
    ] {
        let host = Host::new();
        host.unpack(&bundle, kind).unwrap();
        let tree = host.tree();
        assert_eq!(tree.keys().collect::<Vec<_>>(), ["a/", "a/b/", "a/b/.dot", "appspec.yml", "e/"]);
        assert_eq!(tree["a/b/.dot"], "x");
    }
    assert_eq!(BundleType::from_name("zip"), BundleType::Zip);
    assert_eq!(BundleType::from_name("tgz"), BundleType::Tgz);
    assert_eq!(BundleType::from_name("tar"), BundleType::Tar);
}

#[test]
fn archives_of_the_systems_own_tools_unpack() {
    let source = tempfile::tempdir().unwrap();
    let root = source.path();
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::write(root.join("appspec.yml"), "version: 0.0\n").unwrap();
    fs::write(root.join("bin/run"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(root.join("bin/run"), fs::Permissions::from_mode(0o750)).unwrap();
    symlink("run", root.join("bin/current")).unwrap();
    let deep = format!("{0}/{0}/{0}", "long-directory-name-".repeat(5));
    fs::create_dir_all(root.join(&deep)).unwrap();
    fs::write(root.join(&deep).join("file"), "deep").unwrap();
    fs::hard_link(root.join("bin/run"), root.join("bin/same")).unwrap();
    let made = |command: &str| {
        let bundle = source.path().with_extension("bundle");
        let _ = fs::remove_file(&bundle);
        let status =
            Command::new("sh").arg("-c").arg(command).arg("sh").arg(&bundle).current_dir(root).status();
        let bytes = status.is_ok_and(|status| status.success()).then(|| fs::read(&bundle).unwrap());
        let _ = fs::remove_file(&bundle);
        bytes
    };
    for (command, kind) in [
        ("tar -cf $1 .", BundleType::Tar),
        ("tar -czf $1 --format=pax .", BundleType::Tgz),
        ("tar -cf $1 --format=ustar .", BundleType::Tar),
        ("zip -qry $1.zip . && mv $1.zip $1", BundleType::Zip),
    ] {
        // A tool that is not installed proves nothing here.
        let Some(bundle) = made(command) else { continue };
        let host = Host::new();
        host.unpack(&bundle, kind).unwrap_or_else(|error| panic!("{command}: {error}"));
        let tree = host.tree();
        assert_eq!(tree["bin/current"], "-> run", "{command}");
        assert_eq!(tree[&format!("{deep}/file")], "deep", "{command}");
        assert_eq!(tree["bin/same"], "#!/bin/sh\n", "{command}");
        let run = fs::metadata(host.archive().join("bin/run")).unwrap();
        assert_eq!(run.mode() & 0o7777, 0o750, "{command}");
        assert_eq!(run.mtime(), fs::metadata(root.join("bin/run")).unwrap().mtime(), "{command}");
    }
}

#[test]
fn as_008_a_single_directory_around_the_appspec_file_is_removed() {
    for (members, stripped) in [
        (vec![file("repo-1a2b/appspec.yml", "a"), file("repo-1a2b/x/y", "b")], true),
        (vec![file("repo/AppSpec.yaml", "a")], true),
        (vec![file("repo/other.yml", "a")], false),
        (vec![file("repo/sub/appspec.yml", "a")], false),
        (vec![file("repo/appspec.yml", "a"), file("__MACOSX/._appspec.yml", "")], false),
        (vec![file("appspec.yml", "a")], false),
    ] {
        let host = Host::new();
        let unpacked = host.unpack(&tarball(&members), BundleType::Tar).unwrap();
        assert_eq!(unpacked.stripped.is_some(), stripped, "{:?}", host.tree());
        let first = host.tree().into_keys().next().unwrap();
        assert_eq!(first.starts_with("repo"), !stripped && first != "appspec.yml" && first != "__MACOSX/");
        assert_eq!(fs::read_dir(host.directory.path()).unwrap().count(), 2, "no staging directory stays");
    }
}

#[test]
fn a_github_tarball_begins_with_a_remark() {
    let mut remark = member(
        "pax_global_header",
        EntryType::XGlobalHeader,
        "",
        0o666,
        b"52 comment=0123456789012345678901234567890123456789\n",
    );
    remark.extend(file("o-r-012/appspec.yml", "a"));
    let host = Host::new();
    assert_eq!(
        host.unpack(&tarball(&[remark]), BundleType::Tar).unwrap().stripped.as_deref(),
        Some("o-r-012")
    );
}

#[test]
fn as_173_a_finder_archive_is_recognised() {
    let host = Host::new();
    let zip = zip_of(&[("app/appspec.yml", 0o644, "a"), ("__MACOSX/app/._appspec.yml", 0o644, "")]);
    host.unpack(&zip, BundleType::Zip).unwrap();
    assert!(macosx_note(&host.archive()).unwrap().contains("__MACOSX"));
    host.unpack(&zip_of(&[("appspec.yml", 0o644, "a")]), BundleType::Zip).unwrap();
    assert_eq!(macosx_note(&host.archive()), None);
}

#[test]
fn ag_092_modes_times_and_owners_of_a_tar_archive_are_kept() {
    let mut owned = Header::new_gnu();
    owned.set_path("owned").unwrap();
    owned.set_size(0);
    owned.set_mode(0o4755);
    owned.set_uid(4321);
    owned.set_gid(8765);
    owned.set_mtime(1_400_000_000);
    owned.set_cksum();
    let bundle = tarball(&[
        owned.as_bytes().to_vec(),
        member("private/", EntryType::Directory, "", 0o500, b""),
        file("private/file", "x"),
    ]);
    let host = Host::new();
    host.unpack(&bundle, BundleType::Tar).unwrap();
    let metadata = fs::metadata(host.archive().join("owned")).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.mtime()), (0o4755, 1_400_000_000));
    if is_root() {
        assert_eq!((metadata.uid(), metadata.gid()), (4321, 8765));
        host.unpack_with(&bundle, BundleType::Tar, &Limits { ignore_ownership: true, ..Limits::default() })
            .unwrap();
        assert_eq!(fs::metadata(host.archive().join("owned")).unwrap().uid(), 0);
    }
    let private = fs::metadata(host.archive().join("private")).unwrap();
    assert_eq!((private.mode() & 0o7777, private.mtime()), (0o700, 1_500_000_000));
}

#[test]
fn unix_modes_of_a_zip_archive_are_kept_without_setuid() {
    let host = Host::new();
    host.unpack(&zip_of(&[("run", 0o104_750, "x"), ("l", 0o120_777, "run")]), BundleType::Zip).unwrap();
    assert_eq!(fs::metadata(host.archive().join("run")).unwrap().mode() & 0o7777, 0o750);
    assert_eq!(host.tree()["l"], "-> run");
}

#[test]
fn d_17_what_leads_out_of_a_tar_archive_is_refused_with_its_name() {
    for (members, name, reason) in [
        (vec![file("../evil", "x")], "../evil", "leads out"),
        (vec![file("a/../../evil", "x")], "a/../../evil", "leads out"),
        (vec![file("a/..", "x")], "a/..", "leads out"),
        (vec![file("/etc/evil", "x")], "/etc/evil", "absolute"),
        (vec![link("l", "/etc/passwd")], "l", "/etc/passwd"),
        (vec![link("l", "../x")], "l", "leads out"),
        (vec![directory("a/"), link("a/l", "../../x")], "a/l", "leads out"),
        (vec![link("a", "b"), link("b", "a")], "a", "circle"),
        (vec![link("d", "."), file("d/x", "x")], "d/x", "through a symbolic link"),
        (vec![link("d", "/tmp"), file("d/x", "x")], "d/x", "through a symbolic link"),
        (vec![file("f", "x"), file("f/x", "x")], "f/x", "through a file"),
        (vec![directory("d/"), file("d", "x")], "d", "directory of this name"),
        (vec![member("h", EntryType::Link, "/etc/passwd", 0o644, b"")], "h", "absolute"),
        (vec![member("h", EntryType::Link, "../x", 0o644, b"")], "h", "leads out"),
        (vec![member("h", EntryType::Link, "absent", 0o644, b"")], "h", "not in the bundle"),
        (
            vec![link("d", "/etc"), member("h", EntryType::Link, "d/passwd", 0o644, b"")],
            "h",
            "not in the bundle",
        ),
        (vec![member("dev", EntryType::Char, "", 0o666, b"")], "dev", "devices"),
        (vec![member("dev", EntryType::Block, "", 0o666, b"")], "dev", "devices"),
        (vec![member("pipe", EntryType::Fifo, "", 0o666, b"")], "pipe", "pipes"),
        // Inside as packed, outside once the leading directory is gone.
        (vec![file("r/appspec.yml", "a"), link("r/l", "../r/appspec.yml")], "r/l", "leads out"),
    ] {
        let host = Host::new();
        let error = host.unpack(&tarball(&members), BundleType::Tar).unwrap_err();
        let (refused, why) = refusal(&error);
        assert_eq!(refused, name);
        assert!(why.contains(reason), "{name}: {why}");
        host.left_nothing();
    }
}

#[test]
fn d_17_what_leads_out_of_a_zip_archive_is_refused_with_its_name() {
    for (members, name) in [
        (vec![("../evil", 0o644, "x")], "../evil"),
        (vec![("a/../../evil", 0o644, "x")], "a/../../evil"),
        (vec![("/etc/evil", 0o644, "x")], "/etc/evil"),
        (vec![("l", 0o120_777, "/etc/passwd")], "l"),
        (vec![("l", 0o120_777, "../../x")], "l"),
        (vec![("d", 0o120_777, "/tmp"), ("d/x", 0o644, "x")], "d/x"),
    ] {
        let host = Host::new();
        let error = host.unpack(&zip_of(&members), BundleType::Zip).unwrap_err();
        assert_eq!(refusal(&error).0, name);
        host.left_nothing();
    }
}

#[test]
fn links_that_stay_inside_are_fine() {
    let host = Host::new();
    let members = [
        file("appspec.yml", "a"),
        link("a/up", "../appspec.yml"),
        link("a/later", "b/c"),
        file("a/b/c", "c"),
        link("dangling", "a/nothing"),
        member("hard", EntryType::Link, "./a/b/c", 0o644, b""),
    ];
    host.unpack(&tarball(&members), BundleType::Tar).unwrap();
    assert_eq!(host.tree()["a/up"], "-> ../appspec.yml");
    assert_eq!(host.tree()["hard"], "c");
}

#[test]
fn ap_30_switches_refuse_links_and_set_user_id_and_allow_escaping_links() {
    let strict = Limits { reject_symlinks: true, ..Limits::default() };
    let host = Host::new();
    let error = host.unpack_with(&tarball(&[link("l", "x")]), BundleType::Tar, &strict).unwrap_err();
    assert_eq!(refusal(&error).0, "l");
    let strict = Limits { reject_unsafe_permissions: true, ..Limits::default() };
    let setuid = tarball(&[member("su", EntryType::Regular, "", 0o4755, b"")]);
    let error = host.unpack_with(&setuid, BundleType::Tar, &strict).unwrap_err();
    assert_eq!(refusal(&error).0, "su");
    let loose = Limits { reject_path_traversal: false, ..Limits::default() };
    let outside = tarball(&[file("/a/../b", "b"), link("l", "/etc/passwd")]);
    host.unpack_with(&outside, BundleType::Tar, &loose).unwrap();
    assert_eq!(host.tree()["a/b"], "b", "a member still lands inside");
    assert_eq!(host.tree()["l"], "-> /etc/passwd");
    let through = tarball(&[link("d", "/tmp"), file("d/x", "x")]);
    assert!(
        host.unpack_with(&through, BundleType::Tar, &loose).is_err(),
        "nothing is written through a link"
    );
}

#[test]
fn the_last_of_two_equal_members_wins_and_never_writes_through_a_link() {
    let host = Host::new();
    let victim = host.directory.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    host.unpack(&tarball(&[link("a", "../victim"), file("a", "mine")]), BundleType::Tar).unwrap();
    assert_eq!(host.tree()["a"], "mine");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
}

#[test]
fn bombs_are_stopped_with_the_member_named() {
    let limits = Limits { max_size: 1 << 20, max_members: 50, ..Limits::default() };
    let host = Host::new();
    let zeros = "\0".repeat(2 << 20);
    for (bundle, kind) in [
        (gzip(&tarball(&[file("small", "x"), file("big", &zeros)])), BundleType::Tgz),
        (zip_of(&[("small", 0o644, "x"), ("big", 0o644, &zeros)]), BundleType::Zip),
    ] {
        let error = host.unpack_with(&bundle, kind, &limits).unwrap_err();
        assert_eq!(refusal(&error).0, "big");
        host.left_nothing();
    }
    let many: Vec<_> = (0..51).map(|number| file(&format!("f{number}"), "")).collect();
    let error = host.unpack_with(&tarball(&many), BundleType::Tar, &limits).unwrap_err();
    assert_eq!(refusal(&error).0, "f50");
    host.left_nothing();
}

#[test]
fn members_that_only_make_directories_count_as_what_they_make() {
    let limits = Limits { max_members: 49, ..Limits::default() };
    let host = Host::new();
    let deep = "d/".repeat(49);
    let error =
        host.unpack_with(&tarball(&[file(&format!("{deep}f"), "")]), BundleType::Tar, &limits).unwrap_err();
    assert!(refusal(&error).1.contains("more than 49 members"), "{error}");
    host.left_nothing();
    let listed: Vec<_> = (1..=49).map(|depth| directory(&"d/".repeat(depth))).collect();
    let unpacked = host.unpack_with(&tarball(&listed), BundleType::Tar, &limits).unwrap();
    assert_eq!(unpacked.members, 49, "a directory that is listed counts once");
}

#[test]
fn a_tree_that_nobody_could_walk_is_refused() {
    let host = Host::new();
    let name = "x".repeat(256);
    for (path, reason) in
        [("d/".repeat(201), "too deep"), (format!("a/{name}"), "a name in its path is too long")]
    {
        let mut builder = Builder::new(Vec::new());
        builder.append_pax_extensions([("path", path.as_bytes())]).unwrap();
        let mut header = Header::new_ustar();
        header.set_size(0);
        header.set_mode(0o755);
        header.set_cksum();
        builder.append(&header, std::io::empty()).unwrap();
        let error = host.unpack(&builder.into_inner().unwrap(), BundleType::Tar).unwrap_err();
        assert!(refusal(&error).1.contains(reason), "{error}");
        host.left_nothing();
    }
}

#[test]
fn a_small_bundle_does_not_unpack_to_a_disk_full_of_nothing() {
    // A sparse member: a few hundred bytes that stand for a TiB.
    let mut header = Header::new_gnu();
    header.set_path("sparse").unwrap();
    header.set_entry_type(EntryType::GNUSparse);
    header.set_mode(0o644);
    header.set_size(0);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.realsize[..12].copy_from_slice(b"\x80\0\0\0\0\0\x01\0\0\0\0\0");
    gnu.sparse[0].offset[..12].copy_from_slice(b"\x80\0\0\0\0\0\x01\0\0\0\0\0");
    gnu.sparse[0].numbytes[..12].copy_from_slice(b"00000000000\0");
    header.set_cksum();
    let host = Host::new();
    let bundle = tarball(&[header.as_bytes().to_vec()]);
    let limits = Limits { ratio_counts_from: 2 << 20, ..Limits::default() };
    let error = host.unpack_with(&bundle, BundleType::Tar, &limits).unwrap_err();
    assert!(refusal(&error).1.contains("more than 250 times its size"), "{error}");
    host.left_nothing();
}

#[test]
fn an_archive_that_announces_too_many_members_is_not_even_read() {
    let host = Host::new();
    let members: Vec<_> = (0..60).map(|number| (format!("f{number}"), 0o644, "")).collect();
    let members: Vec<_> = members.iter().map(|(name, mode, text)| (name.as_str(), *mode, *text)).collect();
    let limits = Limits { max_members: 50, ..Limits::default() };
    let error = host.unpack_with(&zip_of(&members), BundleType::Zip, &limits).unwrap_err().to_string();
    assert!(error.contains("the archive has 60 members; more than 50 are not accepted"), "{error}");
    host.left_nothing();
}

#[test]
fn many_links_that_are_replaced_again_and_again_take_no_endless_time() {
    let mut members: Vec<_> = (0..20_000).map(|number| link(&format!("l{number}"), "f")).collect();
    members.extend((0..20_000).map(|number| file(&format!("l{number}"), "")));
    let started = std::time::Instant::now();
    Host::new().unpack(&tarball(&members), BundleType::Tar).unwrap();
    assert!(started.elapsed() < std::time::Duration::from_secs(30), "not quadratic: {:?}", started.elapsed());
}

#[test]
fn nobody_enters_a_revision_before_everything_in_it_has_its_owner() {
    let host = Host::new();
    let staging = host.directory.path().join(".deployment-archive.unpacking");
    // The archive is a pipe: while it is open, the directory can be looked at.
    let bundle = host.directory.path().join("bundle.tar");
    rustix::fs::mknodat(rustix::fs::CWD, &bundle, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let archive = host.archive();
    let worker = {
        let bundle = bundle.clone();
        std::thread::spawn(move || unpack(&bundle, BundleType::Tar, &archive, &Limits::default()))
    };
    let mut pipe = fs::File::options().write(true).open(&bundle).unwrap();
    pipe.write_all(&tarball(&[file("f", "x")])[..512]).unwrap();
    assert_eq!(fs::metadata(&staging).unwrap().mode() & 0o7777, 0o700);
    pipe.write_all(&tarball(&[file("f", "x")])[512..]).unwrap();
    drop(pipe);
    worker.join().unwrap().unwrap();
    assert_eq!(fs::metadata(host.archive()).unwrap().mode() & 0o7777, 0o755, "runas");
}

#[test]
fn directories_get_their_owners_from_the_deepest_up_and_the_last_entry_counts() {
    let host = Host::new();
    let members = [
        directory("a/b/c/"),
        directory("a/"),
        member("a/", EntryType::Directory, "", 0o711, b""),
        file("a/b/f", "x"),
    ];
    host.unpack(&tarball(&members), BundleType::Tar).unwrap();
    assert_eq!(fs::metadata(host.archive().join("a")).unwrap().mode() & 0o7777, 0o711);
}

#[test]
fn a_header_that_never_ends_does_not_fill_the_memory() {
    let mut header = Header::new_gnu();
    header.set_path("././@LongLink").unwrap();
    header.set_entry_type(EntryType::GNULongName);
    header.set_size(1 << 40);
    header.set_cksum();
    let mut bundle = header.as_bytes().to_vec();
    bundle.resize(8 << 20, b'a');
    let error = Host::new().unpack(&gzip(&bundle), BundleType::Tgz).unwrap_err();
    assert!(error.to_string().contains("never end"), "{error}");
}

#[test]
fn truncated_and_damaged_archives_fail_and_leave_nothing() {
    let content = (0..20_000).map(|number| number.to_string()).collect::<String>();
    let tar = tarball(&[file("appspec.yml", "a"), file("data", &content)]);
    let tgz = gzip(&tar);
    let zip = zip_of(&[("appspec.yml", 0o644, "a"), ("data", 0o644, &content)]);
    let mut flipped = tgz.clone();
    let end = flipped.len() - 6;
    flipped[end] ^= 1;
    let mut bad_zip = zip.clone();
    bad_zip[200] ^= 0xff;
    for (bundle, kind, prefix) in [
        (tar[..1000].to_vec(), BundleType::Tar, "Error extracting tar archive: "),
        (tar[..tar.len() / 2].to_vec(), BundleType::Tar, "Error extracting tar archive: "),
        (tgz[..tgz.len() / 2].to_vec(), BundleType::Tgz, "Error extracting tar archive: "),
        (tgz[..tgz.len() - 4].to_vec(), BundleType::Tgz, "Error extracting tar archive: "),
        (flipped, BundleType::Tgz, "Error extracting tar archive: "),
        (
            b"this is no archive at all, whatever its name says".repeat(20),
            BundleType::Tar,
            "Error extracting tar archive: ",
        ),
        (zip[..zip.len() / 2].to_vec(), BundleType::Zip, "Error extracting zip archive: "),
        (bad_zip, BundleType::Zip, "Error extracting zip archive: "),
        (Vec::new(), BundleType::Zip, "Error extracting zip archive: "),
        (tar, BundleType::Zip, "Error extracting zip archive: "),
    ] {
        let host = Host::new();
        fs::create_dir(host.archive()).unwrap();
        fs::write(host.archive().join("old"), "old").unwrap();
        let error = host.unpack(&bundle, kind).unwrap_err().to_string();
        assert!(error.starts_with(prefix), "{error}");
        host.left_nothing();
    }
}

#[test]
fn trailing_bytes_and_several_gzip_members_are_fine() {
    let tar = tarball(&[file("appspec.yml", "a"), file("b", "b")]);
    let mut padded = gzip(&tar);
    padded.extend([0; 512]);
    let mut split = gzip(&tar[..700]);
    split.extend(gzip(&tar[700..]));
    for bundle in [padded, split] {
        let host = Host::new();
        host.unpack(&bundle, BundleType::Tgz).unwrap();
        assert_eq!(host.tree()["b"], "b");
    }
}

#[test]
fn the_old_archive_and_a_crashs_staging_directory_are_wiped_first() {
    let host = Host::new();
    for name in ["deployment-archive", ".deployment-archive.unpacking"] {
        fs::create_dir(host.directory.path().join(name)).unwrap();
        fs::write(host.directory.path().join(name).join("old"), "old").unwrap();
    }
    host.unpack(&tarball(&[file("new", "new")]), BundleType::Tar).unwrap();
    assert_eq!(host.tree().into_keys().collect::<Vec<_>>(), ["new"]);
    assert_eq!(fs::read_dir(host.directory.path()).unwrap().count(), 2);
}

#[test]
fn ag_098_a_full_disk_is_told_and_cleaned_up() {
    let host = Host::new();
    let small = host.directory.path().join("small");
    fs::create_dir(&small).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&small).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this test may not mount a file system here");
        return;
    }
    let bundle = host.directory.path().join("bundle.tar");
    let big = "x".repeat(1 << 20);
    fs::write(&bundle, tarball(&[file("a", &big), file("b", &big)])).unwrap();
    let result = unpack(&bundle, BundleType::Tar, &small.join("deployment-archive"), &Limits::default());
    let left = fs::read_dir(&small).unwrap().count();
    let unmounted = Command::new("umount").arg(&small).status().unwrap();
    assert!(unmounted.success());
    assert_eq!(result.unwrap_err().to_string(), "The disk is (or was) full during extraction.");
    assert_eq!(left, 0);
}

#[test]
fn old_style_directories_and_sparse_files_are_understood() {
    let host = Host::new();
    let members = [member("old/", EntryType::Regular, "", 0o755, b""), file("old/f", "f")];
    host.unpack(&tarball(&members), BundleType::Tar).unwrap();
    assert_eq!(host.tree()["old/f"], "f");

    let mut builder = Builder::new(Vec::new());
    builder.append_pax_extensions([("GNU.sparse.major", b"1".as_slice())]).unwrap();
    let mut header = Header::new_ustar();
    header.set_path("sparse").unwrap();
    header.set_size(0);
    header.set_mode(0o644);
    header.set_cksum();
    builder.append(&header, std::io::empty()).unwrap();
    let error = host.unpack(&builder.into_inner().unwrap(), BundleType::Tar).unwrap_err();
    assert_eq!(refusal(&error).0, "sparse");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_never_panics_and_never_leaves_half_an_archive(
        at in 0usize..6000, byte in any::<u8>(), cut in 0usize..6000, kind in 0usize..3,
    ) {
        let tar = tarball(&[directory("d/"), file("d/a", "aaa"), link("d/l", "a"), file("appspec.yml", "v")]);
        let (mut bundle, kind) = match kind {
            0 => (tar, BundleType::Tar),
            1 => (gzip(&tar), BundleType::Tgz),
            _ => (zip_of(&[("d/a", 0o644, "aaa"), ("d/l", 0o120_777, "a"), ("appspec.yml", 0o644, "v")]), BundleType::Zip),
        };
        let at = at % bundle.len();
        bundle[at] = byte;
        bundle.truncate(bundle.len().min(cut + 300));
        let host = Host::new();
        if host.unpack(&bundle, kind).is_err() {
            host.left_nothing();
        }
        prop_assert!(!host.directory.path().join(".deployment-archive.unpacking").exists());
    }
}

#[test]
fn a_path_of_endless_depth_is_refused() {
    let mut builder = Builder::new(Vec::new());
    let path = "a/".repeat(1 << 20);
    builder.append_pax_extensions([("path", path.as_bytes())]).unwrap();
    let mut header = Header::new_ustar();
    header.set_size(0);
    header.set_mode(0o644);
    header.set_cksum();
    builder.append(&header, std::io::empty()).unwrap();
    let host = Host::new();
    let error = host.unpack(&builder.into_inner().unwrap(), BundleType::Tar).unwrap_err();
    assert!(refusal(&error).1.contains("too long"));
    host.left_nothing();
}
