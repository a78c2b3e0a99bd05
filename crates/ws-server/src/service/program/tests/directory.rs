//! The programs of a directory, and attacks on their paths.

use std::{
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, chown, symlink},
        net::UnixListener,
    },
    path::Path,
};

use tempfile::TempDir;

use super::{ProgramDirectory, Script, ScriptError};
use crate::session::normalize_path;

/// Creates a directory of programs, beside files that it must not lead to.
fn directory() -> (TempDir, ProgramDirectory) {
    let all = tempfile::tempdir().unwrap();
    let root = all.path().join("root");
    fs::create_dir_all(root.join("sub/.git")).unwrap();
    fs::create_dir(all.path().join("beside")).unwrap();
    for file in [
        "outside",
        "beside/b",
        "root/a",
        "root/sub/b",
        "root/caf\u{e9} au lait",
        "root/.hidden",
        "root/sub/.git/c",
    ] {
        fs::write(all.path().join(file), "#!/bin/sh\n").unwrap();
    }
    // Whatever the umask.
    for safe in [
        "root",
        "root/a",
        "root/sub",
        "root/sub/b",
        "root/caf\u{e9} au lait",
    ] {
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(all.path().join(safe), mode).unwrap();
    }
    symlink("../outside", root.join("out")).unwrap();
    symlink("a", root.join("same")).unwrap();
    symlink("../beside", root.join("away")).unwrap();
    symlink("/", root.join("everything")).unwrap();
    (all, ProgramDirectory(root))
}

fn found(directory: &ProgramDirectory, path: &str) -> (String, String) {
    let Script {
        file,
        name,
        path_info,
    } = directory.find(path).expect(path);
    let name = String::from_utf8(name).unwrap();
    assert_eq!(file, directory.0.join(&name));
    (name, String::from_utf8(path_info).unwrap())
}

#[test]
fn path_is_split_at_the_program() {
    let (_all, directory) = directory();
    for (path, name, path_info) in [
        ("a", "a", ""),
        ("a/", "a", "/"),
        ("a/b/c", "a", "/b/c"),
        ("a/.hidden/%20", "a", "/.hidden/ "),
        ("sub/b", "sub/b", ""),
        ("sub/b/%3Fx", "sub/b", "/?x"),
        ("caf%C3%A9%20au%20lait", "caf\u{e9} au lait", ""),
    ] {
        let expected = (name.to_owned(), path_info.to_owned());
        assert_eq!(found(&directory, path), expected, "{path}");
    }
}

#[test]
fn attacks_on_paths_find_nothing() {
    let (all, directory) = directory();
    UnixListener::bind(directory.0.join("socket")).unwrap();
    let long = "x".repeat(300);
    let outside = all.path().join("outside");
    let absolute = outside.to_str().unwrap();
    for path in [
        "",
        "/",
        "sub",
        "sub/",
        "absent",
        "absent/a",
        "A",
        ".",
        "..",
        "../outside",
        "sub/../a",
        "sub/../../outside",
        "%2E%2E/outside",
        "..%2Foutside",
        "sub%2Fb",
        "%2e%2e%2foutside",
        "..\\outside",
        "/a",
        "//a",
        "sub//b",
        absolute,
        ".hidden",
        "%2Ehidden",
        "sub/.git/c",
        "sub/%2Egit/c",
        "out",
        "same",
        "away/b",
        "everything/bin/sh",
        "socket",
        "a%00",
        "a%00.txt",
        "%00",
        "a%",
        " a",
        "a%20",
        &long,
    ] {
        let found = directory.find(path);
        let is_missing = matches!(found, Err(ScriptError::Missing));
        // A truncated encoding cannot come here: a path in normal form has none.
        assert!(
            is_missing || normalize_path(&format!("/{path}")).is_err(),
            "{path}: {found:?}"
        );
        if let Ok(script) = found {
            assert_eq!(script.file, directory.0.join("a"), "{path}");
        }
    }
}

#[test]
fn program_that_others_can_exchange_is_refused() {
    let (_all, directory) = directory();
    let set_mode = |file: &Path, mode: u32| {
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    };
    let root = directory.0.clone();
    for changed in [root.join("sub/b"), root.join("sub"), root.clone()] {
        for (mode, is_safe) in [
            (0o755, true),
            (0o775, false),
            (0o757, false),
            (0o1777, false),
            (0o700, true),
        ] {
            set_mode(&changed, mode);
            match directory.find("sub/b") {
                Ok(_) => assert!(is_safe, "{}: {mode:o}", changed.display()),
                Err(ScriptError::Exchangeable(file)) => {
                    assert!(!is_safe, "{}: {mode:o}", changed.display());
                    assert_eq!(file, changed);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    // Only root can give a file away.
    if rustix::process::geteuid().is_root() {
        chown(root.join("sub/b"), Some(65534), None).unwrap();
        let error = directory.find("sub/b").unwrap_err();
        assert!(matches!(error, ScriptError::Exchangeable(_)), "{error}");
    }
}

#[test]
fn directory_is_checked() {
    let (all, directory) = directory();
    assert_eq!(directory.check(), Ok(()));
    let file = ProgramDirectory(all.path().join("outside"));
    assert!(file.check().unwrap_err().ends_with("is not a directory"));
    fs::set_permissions(&directory.0, fs::Permissions::from_mode(0o777)).unwrap();
    let problem = directory.check().unwrap_err();
    assert!(problem.contains("only they may write"), "{problem}");
    assert!(
        problem
            .as_bytes()
            .starts_with(directory.0.as_os_str().as_bytes())
    );
}
