//! An etcd and a kube-apiserver on loopback, for one test.

#![allow(unreachable_pub, reason = "one file of several crates, of which one offers it to others")]

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const TOKEN: &str = "only-for-this-test";
/// On a machine that compiles at the same time it takes a while.
const LIMIT: Duration = Duration::from_secs(180);

/// Runs until dropped.
pub struct ControlPlane {
    directory: TempDir,
    processes: Vec<Child>,
}

impl ControlPlane {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let (client, peer, api) = (free_port(), free_port(), free_port());
        let etcd = format!("http://127.0.0.1:{client}");
        std::fs::write(path("tokens.csv"), format!("{TOKEN},admin,1,\"system:masters\"\n")).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        std::fs::write(path("sa.key"), key.serialize_pem()).unwrap();
        std::fs::write(path("sa.pub"), key.public_key_pem()).unwrap();
        std::fs::write(path("kubeconfig"), kubeconfig(api)).unwrap();

        let mut etcd_command = Command::new(binary("server"));
        etcd_command
            .arg("--data-dir")
            .arg(path("etcd"))
            .args(["--listen-client-urls", &etcd, "--advertise-client-urls", &etcd])
            .args(["--listen-peer-urls", &format!("http://127.0.0.1:{peer}"), "--unsafe-no-fsync"]);
        let mut api_command = Command::new(binary("kube-apiserver"));
        api_command
            .args(["--etcd-servers", &etcd, "--bind-address", "127.0.0.1", "--secure-port", &api.to_string()])
            .arg("--cert-dir")
            .arg(path("certificates"))
            .arg("--token-auth-file")
            .arg(path("tokens.csv"))
            .arg("--service-account-key-file")
            .arg(path("sa.pub"))
            .arg("--service-account-signing-key-file")
            .arg(path("sa.key"))
            .args(["--service-account-issuer", "https://kubernetes.default.svc"])
            .args(["--service-cluster-ip-range", "198.19.0.0/16", "--authorization-mode", "RBAC"])
            .args(["--disable-admission-plugins", "ServiceAccount"]);

        let mut started = Self { processes: Vec::new(), directory };
        started.spawn(etcd_command, "etcd.log");
        started.spawn(api_command, "kube-apiserver.log");
        started.wait_until_ready();
        started
    }

    fn spawn(&mut self, mut command: Command, log: &str) {
        let log = std::fs::File::create(self.directory.path().join(log)).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        self.processes.push(child);
    }

    fn wait_until_ready(&mut self) {
        let begun = Instant::now();
        loop {
            let answer = self.kubectl(&["get", "--raw", "/readyz", "--request-timeout=5s"], None);
            if answer.as_deref() == Ok("ok") {
                // The default namespace is made a moment after the server is ready.
                if self.kubectl(&["get", "namespace", "default", "--request-timeout=5s"], None).is_ok() {
                    return;
                }
            }
            let ended =
                self.processes.iter_mut().any(|child| child.try_wait().is_ok_and(|status| status.is_some()));
            if ended || begun.elapsed() > LIMIT {
                panic!(
                    "no API server after {:?}: {answer:?}\netcd: {}\nkube-apiserver: {}",
                    begun.elapsed(),
                    self.end_of("etcd.log"),
                    self.end_of("kube-apiserver.log")
                );
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn end_of(&self, log: &str) -> String {
        let text = std::fs::read_to_string(self.directory.path().join(log)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Where the administrator's kubeconfig is.
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    /// What kubectl printed, or its complaint.
    pub fn kubectl(&self, arguments: &[&str], input: Option<&str>) -> Result<String, String> {
        let mut child = Command::new(binary("kubectl"))
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.unwrap_or_default().as_bytes()).map_err(|error| error.to_string())?;
        }
        let output = child.wait_with_output().map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // The API server first: it would complain about etcd.
        for child in self.processes.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn kubeconfig(port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
         clusters: [{{name: test, cluster: {{server: \"https://127.0.0.1:{port}\", insecure-skip-tls-verify: true}}}}]\n\
         users: [{{name: test, user: {{token: {TOKEN}}}}}]\n\
         contexts: [{{name: test, context: {{cluster: test, user: test, namespace: default}}}}]\n"
    )
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn binary(name: &str) -> PathBuf {
    let cache =
        std::env::var_os("TIDEWATCH_CACHE").map_or_else(|| repository().join(".cache"), PathBuf::from);
    let path = cache.join("bin").join(name);
    assert!(path.is_file(), "{} isn't there: run `make tools`, which builds it", path.display());
    path
}

/// The root of the tree, from whichever crate this file is part of.
pub fn repository() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().find(|folder| folder.join("Cargo.lock").is_file()).unwrap()
}
