//! `permissions`: which objects, and what they get (AS-055, AS-061..AS-072).

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};

use slipway_appspec::{AppSpec, Os, parse};

use super::super::labels::complete;
use super::super::select::glob;
use super::{Host, chmod, write};
use crate::sys::files::{is_root, program};

const ALL: &str = "files:\n  - source: /\n    destination: SRV\n";

fn mode(host: &Host, name: &str) -> u32 {
    fs::symlink_metadata(host.target(name)).unwrap().mode() & 0o7777
}

/// Installs two levels of files (0600) and says which got the mode 0111 or, directories, 0711.
fn chosen(permission: &str) -> Vec<String> {
    let host = Host::new();
    let names = ["a.txt", "b.txt", "c.sh", "d/a.txt", "d/e/a.txt"];
    host.revision(&names.map(|name| (name, "x")));
    for name in names {
        chmod(&host.archive().join(name), 0o600);
    }
    write(&host.path("srv/old/"), "");
    write(&host.target("old/a.txt"), "not from this deployment");
    chmod(&host.target("old/a.txt"), 0o600);
    host.install(&format!("{ALL}permissions:\n  - object: SRV\n    mode: 711\n{permission}")).unwrap();
    host.names().into_iter().filter(|name| mode(&host, name.trim_end_matches('/')) == 0o711).collect()
}

#[test]
fn as_061_to_065_matching_table() {
    for (permission, expected) in [
        ("", &["a.txt", "b.txt", "c.sh", "d/", "d/a.txt", "d/e/", "d/e/a.txt"] as &[&str]),
        ("    type: [file]\n", &["a.txt", "b.txt", "c.sh", "d/a.txt", "d/e/a.txt"]),
        ("    type: [directory]\n", &["d/", "d/e/"]),
        ("    type: []\n", &[]),
        ("    pattern: '*'\n", &["a.txt", "b.txt", "c.sh", "d/"]),
        ("    pattern: '*.txt'\n", &["a.txt", "b.txt"]),
        ("    pattern: 'a*t'\n", &["a.txt"]),
        ("    pattern: a.txt\n", &["a.txt"]),
        ("    pattern: '?.txt'\n", &[]),
        ("    pattern: '[ab].txt'\n", &[]),
        ("    pattern: 'd/a.txt'\n", &[]),
        ("    except: ['*.txt']\n", &["c.sh", "d/", "d/a.txt", "d/e/", "d/e/a.txt"]),
        ("    except: ['**']\n", &["d/a.txt", "d/e/", "d/e/a.txt"]),
        ("    except: ['d']\n    type: [directory]\n", &["d/e/"]),
        ("    except: ['d/a.txt', 'd/e/*']\n    type: [file]\n", &["a.txt", "b.txt", "c.sh"]),
        (
            "    except: [SRV/d/a.txt]\n    type: [file]\n    pattern: '**'\n",
            &["a.txt", "b.txt", "c.sh", "d/e/a.txt"],
        ),
    ] {
        assert_eq!(chosen(permission), expected, "{permission:?}");
    }
}

#[test]
fn many_permissions_for_many_objects_take_no_endless_time() {
    let host = Host::new();
    let names: Vec<String> = (0..6000).map(|number| format!("d{}/f{number}", number % 50)).collect();
    host.revision(&names.iter().map(|name| (name.as_str(), "")).collect::<Vec<_>>());
    let objects: Vec<String> =
        names.iter().map(|name| format!("  - object: SRV/{name}\n    mode: 600\n")).collect();
    let body = format!("{ALL}permissions:\n{}", objects.concat());
    let started = std::time::Instant::now();
    let plan = host.with_request("group", &body, |request| super::super::plan::plan(request).unwrap());
    assert_eq!(plan.instructions.len(), 1 + 50 + 2 * 6000);
    assert!(started.elapsed() < std::time::Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn as_064_only_the_star_is_special() {
    for (pattern, name, matches) in [
        ("*", "", true),
        ("*", ".hidden", true),
        ("a*b*c", "abc", true),
        ("a*b*c", "a-b-b-c", true),
        ("a*b*c", "acb", false),
        ("*aa", "aaa", true),
        ("a*a", "a", false),
        ("**", "x", true),
        ("", "x", false),
        ("a?c", "abc", false),
        ("a?c", "a?c", true),
        ("*.tar.*", "x.tar.gz", true),
    ] {
        assert_eq!(glob(pattern, name), matches, "{pattern} {name}");
    }
}

#[test]
fn as_062_an_object_that_is_a_file_takes_no_pattern_and_no_except() {
    let install = |rest: &str| {
        let host = Host::new();
        host.revision(&[("a", "x")]);
        chmod(&host.archive().join("a"), 0o600);
        let outcome = host.install(&format!("{ALL}permissions:\n  - object: SRV/a\n    mode: 640\n{rest}"));
        (outcome.map(|_| mode(&host, "a")), host.target("a").display().to_string())
    };
    assert_eq!(install("").0.unwrap(), 0o640);
    assert_eq!(install("    type: [directory]\n    pattern: '*.x'\n").0.unwrap(), 0o600);
    let (outcome, object) = install("    pattern: '*.txt'\n");
    assert_eq!(
        outcome.unwrap_err().to_string(),
        format!(
            "The deployment failed because the application specification file includes an object ({object}) with an invalid pattern (*.txt), such as a pattern for a file applied to a directory. Correct the permissions section of the AppSpec file, and then try again."
        )
    );
    let (outcome, object) = install("    except: [b]\n");
    assert_eq!(
        outcome.unwrap_err().to_string(),
        format!(
            "The deployment failed because the except parameter for a pattern in the permissions section ([\"b\"]) for the object named {object} contains an invalid format. Update the AppSpec file, and then try again."
        )
    );
}

#[test]
fn as_066_067_objects_chosen_twice_and_default_lists_on_files() {
    let host = Host::new();
    host.revision(&[("a", "x")]);
    let twice =
        format!("{ALL}permissions:\n  - object: SRV\n    mode: 640\n  - object: SRV/a\n    owner: root\n");
    assert_eq!(
        host.install(&twice).unwrap_err().to_string(),
        format!(
            "The deployment failed because the permissions setting for ({}) is specified more than once in the application specification file. Update the files section of the AppSpec file, and then try again.",
            host.target("a").display()
        )
    );
    let default = format!("{ALL}permissions:\n  - object: SRV\n    acls: ['d:u:root:r']\n");
    assert_eq!(
        host.install(&default).unwrap_err().to_string(),
        "The deployment failed because the -d parameter has been specified to apply an acl setting to a file. This parameter is supported for directories only. Update the AppSpec file, and then try again."
    );
    assert_eq!(host.names(), <[&str; 0]>::default(), "found before the first copy");
}

#[test]
fn as_068_the_documented_example() {
    if !is_root() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    let host = Host::new();
    let files: Vec<(String, &str)> = (1..=9)
        .map(|number| match number {
            1..=3 => (format!("my-file-{number}.txt"), "x"),
            4..=6 => (format!("my-folder-1/my-file-{number}.txt"), "x"),
            _ => (format!("my-folder-2/my-file-{number}.txt"), "x"),
        })
        .collect();
    host.revision(&files.iter().map(|(name, content)| (name.as_str(), *content)).collect::<Vec<_>>());
    fs::create_dir(host.archive().join("my-folder-2/my-folder-3")).unwrap();
    // The accounts of the example by number, because this host need not have them.
    let (adm, ec2_user, operator, wheel) = (4001, 4002, 4003, 4004);
    let target = host.path("srv").display().to_string();
    let relative = target.trim_start_matches('/');
    host.install(&format!(
        "files:
  - source: ./my-file-1.txt
    destination: SRV
  - source: ./my-file-2.txt
    destination: SRV
  - source: ./my-file-3.txt
    destination: SRV
  - source: ./my-folder-1
    destination: SRV/my-folder-1
  - source: ./my-folder-2
    destination: SRV/my-folder-2
permissions:
  - object: SRV
    pattern: \"*-3.txt\"
    owner: {adm}
    group: {wheel}
    mode: 464
    type:
      - file
  - object: SRV
    pattern: \"*.txt\"
    except: [my-file-3.txt]
    owner: {ec2_user}
    mode: 444
    type:
      - file
  - object: SRV/my-folder-1
    pattern: \"**\"
    except: [my-file-4.txt, my-file-5.txt]
    owner: {operator}
    mode: 646
    type:
      - file
  - object: SRV/my-folder-2
    pattern: \"**\"
    except: [my-file-8.txt]
    owner: {ec2_user}
    mode: 777
    type:
      - file
  - object: SRV
    pattern: \"*my-folder*\"
    except: [{relative}/my-folder-2/my-folder-3]
    owner: {ec2_user}
    mode: 555
    type:
      - directory
  - object: SRV/my-folder-2/my-folder-3
    group: {wheel}
    mode: 564
    type:
      - directory
"
    ))
    .unwrap();
    for (name, bits, owner, group) in [
        ("my-file-1.txt", 0o444, ec2_user, 0),
        ("my-file-2.txt", 0o444, ec2_user, 0),
        ("my-file-3.txt", 0o464, adm, wheel),
        ("my-folder-1", 0o555, ec2_user, 0),
        ("my-folder-1/my-file-4.txt", 0o644, 0, 0),
        ("my-folder-1/my-file-5.txt", 0o644, 0, 0),
        ("my-folder-1/my-file-6.txt", 0o646, operator, 0),
        ("my-folder-2", 0o555, ec2_user, 0),
        ("my-folder-2/my-file-7.txt", 0o777, ec2_user, 0),
        ("my-folder-2/my-file-8.txt", 0o644, 0, 0),
        ("my-folder-2/my-file-9.txt", 0o777, ec2_user, 0),
        // An erratum of the document: `type: [directory]` is not about the object itself (D-27).
        ("my-folder-2/my-folder-3", 0o755, 0, 0),
    ] {
        let metadata = fs::metadata(host.target(name)).unwrap();
        let found = (metadata.mode() & 0o7777, metadata.uid(), metadata.gid());
        assert_eq!(found, (bits, owner, group), "{name}");
    }
}

#[test]
fn as_069_set_user_id_survives_a_change_of_owner() {
    if !is_root() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    let host = Host::new();
    host.revision(&[("asked", "x"), ("inherited", "x")]);
    chmod(&host.archive().join("inherited"), 0o6711);
    host.install(&format!(
        "{ALL}permissions:\n  - object: SRV/asked\n    owner: 4001\n    group: 4002\n    mode: 4755\n  - object: SRV/inherited\n    owner: 4001\n"
    ))
    .unwrap();
    let asked = fs::metadata(host.target("asked")).unwrap();
    assert_eq!((asked.mode() & 0o7777, asked.uid(), asked.gid()), (0o4755, 4001, 4002));
    assert_eq!(mode(&host, "inherited"), 0o6711, "AS-072: an absent mode stays as it was");
}

#[test]
fn as_055_unknown_accounts_fail_before_the_first_copy() {
    let host = Host::new();
    host.revision(&[("a", "x")]);
    let install = |rest: &str| host.install(&format!("{ALL}permissions:\n  - object: SRV\n    {rest}\n"));
    assert_eq!(install("owner: no-such-user").unwrap_err().to_string(), "can't find user for no-such-user");
    assert_eq!(
        install("group: no-such-group").unwrap_err().to_string(),
        "can't find group for no-such-group"
    );
    assert_eq!(host.names(), <[&str; 0]>::default());
}

#[test]
fn ap_30_permissions_never_reach_through_a_link() {
    let host = Host::new();
    host.revision(&[("a", "x")]);
    write(&host.path("outside"), "x");
    chmod(&host.path("outside"), 0o600);
    symlink("a", host.archive().join("l")).unwrap();
    let error = host.install(&format!("{ALL}permissions:\n  - object: SRV/l\n    mode: 777\n")).unwrap_err();
    assert!(error.to_string().contains("appspec.yml line 7"), "{error}");
    // Chosen by a pattern, a link gets an owner of its own and nothing else.
    host.install(&format!("{ALL}permissions:\n  - object: SRV\n    pattern: l\n    mode: 777\n")).unwrap();
    assert_ne!(mode(&host, "a"), 0o777);
    let mut host = Host::new();
    host.switches.reject_symlink_permission_targets = false;
    host.revision(&[("a", "x")]);
    symlink("a", host.archive().join("l")).unwrap();
    host.install(&format!("{ALL}permissions:\n  - object: SRV/l\n    mode: 711\n")).unwrap();
    assert_eq!(mode(&host, "a"), 0o711);
}

#[test]
fn ap_30_unconfined_labels_can_be_refused() {
    let mut host = Host::new();
    host.switches.reject_unconfined_selinux = true;
    host.revision(&[("a", "x")]);
    let error = host
        .install(&format!("{ALL}permissions:\n  - object: SRV\n    context: {{type: unconfined_t}}\n"))
        .unwrap_err();
    assert!(error.to_string().contains("unconfined"), "{error}");
}

fn acls(list: &str, bits: u32) -> Vec<String> {
    let text = format!("version: 0.0\nos: linux\npermissions:\n  - object: /srv\n    acls: [{list}]\n");
    let spec: AppSpec = parse(&text, Os::Linux).unwrap();
    complete(spec.permissions[0].acls.as_ref().unwrap(), bits)
}

#[test]
fn as_070_lists_are_completed_from_the_mode() {
    assert_eq!(
        acls("'u:mary:rw', 'm::rw'", 0o644),
        ["user::rw-", "group::r--", "other::r--", "user:mary:rw-", "mask::rw-"]
    );
    assert_eq!(
        acls("'g:staff:rx'", 0o750),
        ["user::rwx", "group::r-x", "other::---", "group:staff:r-x", "mask::r-x"]
    );
    assert_eq!(
        acls("'d:u:mary:rw', 'd:o:r'", 0o755),
        [
            "user::rwx",
            "group::r-x",
            "other::r-x",
            "default:user::rwx",
            "default:group::r-x",
            "default:user:mary:rw-",
            "default:other::r--",
            "default:mask::r-x",
        ]
    );
}

#[test]
fn as_070_071_failures_name_command_and_exit_code() {
    let host = Host::new();
    host.revision(&[("a", "x")]);
    let path = host.target("a").display().to_string();
    if program("setfacl").is_none() {
        let error = host
            .install(&format!(
                "{ALL}permissions:\n  - object: SRV/a\n    mode: 644\n    acls: ['u:root:rw']\n"
            ))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "The deployment failed because of a problem with the acls permission settings in the application specification file for this object: {path}. Failed command: setfacl --set user::rw-,group::r--,other::r--,user:root:rw-,mask::r-- {path}. Exit code: 127"
            )
        );
    }
    if program("semanage").is_none() {
        let error = host
            .install(&format!(
                "{ALL}permissions:\n  - object: SRV/a\n    context:\n      user: u\n      type: t\n      range: s0-s0\n"
            ))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "The deployment failed because the application specification file contains an error in the settings for the context parameter. Update the permissions section of the AppSpec file, and then try again. Failed command: semanage fcontext -a -s u -t t -r s0 {path}. Exit code: 127"
            )
        );
        assert_eq!(host.cleanup_lines().last().unwrap(), &format!("semanage\0{path}"));
    }
}
