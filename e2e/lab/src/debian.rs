//! Real software for pods: Debian's packages, unpacked into a directory that becomes an image. Nothing is installed on this
//! machine: no daemon starts, no user is made, and the package database doesn't know of it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest, Sha256};

use crate::command::Cmd;
use crate::error::{Error, Result};
use crate::image;
use crate::options::Progress;
use crate::requirements;

const PACKAGES: &str = include_str!("../tools/debian/packages.txt");
/// Raised when what is made of the packages changes, so that what was unpacked before isn't used.
const LAYOUT: &str = "1";
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(300);

/// Where the image's programs are, for `PATH`.
pub(crate) const PATH: &str = "/usr/local/bin:/usr/sbin:/usr/bin:/bin:/usr/lib/postgresql/15/bin";
/// Programs that run in pods; their shared libraries come along.
const PROGRAMS: [&str; 13] = [
    "usr/sbin/nginx",
    "usr/sbin/haproxy",
    "usr/bin/redis-check-rdb",
    "usr/bin/redis-benchmark",
    "usr/bin/redis-cli",
    "usr/bin/memcached",
    "usr/bin/memcslap",
    "usr/bin/wrk",
    "usr/lib/postgresql/15/bin/postgres",
    "usr/lib/postgresql/15/bin/initdb",
    "usr/lib/postgresql/15/bin/pg_ctl",
    "usr/lib/postgresql/15/bin/psql",
    "usr/lib/postgresql/15/bin/pgbench",
];
/// Commands of busybox that scripts in pods may use.
const BUSYBOX: [&str; 12] =
    ["sh", "sleep", "cat", "mkdir", "head", "env", "true", "nc", "timeout", "kill", "ls", "cp"];
/// Large, and of no use in a pod.
const LEFT_OUT: [&str; 9] = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/bash-completion",
    "usr/share/initramfs-tools",
    "usr/share/lintian",
    "usr/lib/postgresql/15/lib/bitcode",
    "usr/lib/postgresql/15/lib/pgxs",
    "usr/lib/postgresql/15/lib/llvmjit.so",
];
/// A pod's user needs a name: PostgreSQL doesn't start without.
const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nnonroot:x:65532:65532::/tmp:/bin/sh\n";

/// The unpacked packages, downloaded where they aren't in the cache yet.
///
/// # Errors
/// When a package can't be had, or a program of it lacks a library.
pub fn root(progress: &Progress) -> Result<PathBuf> {
    let cache = requirements::cache(None).join("debian");
    fs::create_dir_all(&cache).map_err(Error::file("making", &cache))?;
    let lock_path = cache.join(".lock");
    let lock = fs::File::create(&lock_path).map_err(Error::file("making", &lock_path))?;
    // Two at once would each unpack it; the second waits and then finds it done.
    let _lock = Flock::lock(lock, FlockArg::LockExclusive)
        .map_err(|(_, e)| Error::system("waiting for another download of packages")(e))?;
    let root = cache.join("root");
    let stamp_file = cache.join(".stamp");
    if root.is_dir() && fs::read_to_string(&stamp_file).is_ok_and(|found| found == stamp()) {
        return Ok(root);
    }
    let start = Instant::now();
    progress
        .say("downloading Debian's nginx, haproxy, redis, PostgreSQL, memcached and their clients (once)");
    let work = tempfile::tempdir_in(&cache).map_err(Error::file("making a directory in", &cache))?;
    let unpacked = work.path().join("root");
    unpack(work.path(), &unpacked)?;
    furnish(&unpacked)?;
    remove(&root)?;
    fs::rename(&unpacked, &root).map_err(Error::file("replacing", &root))?;
    fs::write(&stamp_file, stamp()).map_err(Error::file("writing", &stamp_file))?;
    progress.say(format!("downloaded and unpacked in {} s", start.elapsed().as_secs()));
    Ok(root)
}

/// Changes when the packages do, or what is made of them.
fn stamp() -> String {
    let digest = Sha256::digest(format!("{LAYOUT}\n{PACKAGES}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn packages() -> impl Iterator<Item = &'static str> {
    PACKAGES.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn unpack(work: &Path, root: &Path) -> Result<()> {
    if download(work).is_err() {
        // A new machine has no lists of packages, or old ones.
        Cmd::new("apt-get").args(["update", "-qq"]).limit(DOWNLOAD_LIMIT).run()?;
        download(work)?;
    }
    fs::create_dir_all(root).map_err(Error::file("making", root))?;
    for path in entries(work)? {
        if path.extension().is_some_and(|extension| extension == "deb") {
            Cmd::new("dpkg").arg_pair("-x", &path).args([root]).run()?;
        }
    }
    Ok(())
}

/// Downloads into `directory`: `apt-get download` knows only the working directory.
fn download(directory: &Path) -> Result<()> {
    Cmd::new("sh")
        .args(["-c", "cd \"$0\" && exec apt-get download -qq -o APT::Sandbox::User=root \"$@\""])
        .args([directory])
        .args(packages())
        .limit(DOWNLOAD_LIMIT)
        .run()
        .map(drop)
}

/// Makes a root file system of what the packages brought.
fn furnish(root: &Path) -> Result<()> {
    for path in LEFT_OUT {
        remove(&root.join(path))?;
    }
    let search = root.join("usr/lib/x86_64-linux-gnu");
    for program in PROGRAMS {
        for library in image::shared_libraries(&root.join(program), &[&search])? {
            if !library.starts_with(root) {
                image::copy_into(root, &library, &library)?;
            }
        }
    }
    for name in BUSYBOX {
        let link = root.join("bin").join(name);
        symlink("busybox", &link).map_err(Error::file("linking", &link))?;
    }
    for directory in ["tmp", "var/log/nginx", "var/lib/nginx"] {
        let path = root.join(directory);
        fs::create_dir_all(&path).map_err(Error::file("making", &path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o1777))
            .map_err(Error::file("permitting", &path))?;
    }
    let passwd = root.join("etc/passwd");
    fs::write(&passwd, PASSWD).map_err(Error::file("writing", &passwd))
}

/// Removes a file or a directory; none of that name is no error.
fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("removing", path)(error))
        }
        _ => Ok(()),
    }
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let listed = fs::read_dir(directory).map_err(Error::file("listing", directory))?;
    Ok(listed.filter_map(|entry| Some(entry.ok()?.path())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_packages_has_names_only() {
        let listed: Vec<_> = packages().collect();
        assert!(listed.contains(&"nginx") && listed.contains(&"postgresql-15"), "{listed:?}");
        assert!(listed.iter().all(|name| !name.contains([' ', '#'])), "{listed:?}");
    }
}
