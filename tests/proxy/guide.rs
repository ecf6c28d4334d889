//! What the guide and the unit have shells do, done by a shell.

use crate::calls::{Wire, plain_chat, serving};
use crate::deploy::{deployed, unit_values};
use crate::support::gateway::{Gateway, Key, Setup};
use crate::support::provider::Provider;
use crate::support::{is_installed, until};
use crate::upgrade::{Stopping, assert_whole, begun};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};

/// Begins what the unit has systemd do to stop the service, with this as the main process.
fn begin_stop(main: &str) -> Child {
    let [line] = &unit_values("ExecStop")[..] else { panic!("one command stops the service") };
    let script = line.strip_prefix("/bin/sh -c '").and_then(|rest| rest.strip_suffix('\''));
    // As systemd reads it.
    let script = script.expect("a shell's command").replace("$$", "$");
    Command::new("/bin/sh").args(["-c", &script]).env("MAINPID", main).spawn().expect("a shell")
}

#[tokio::test]
async fn a_stopped_service_is_waited_for_until_its_requests_have_their_answers() {
    let streams = Stopping::start().await;
    let (mut gateway, key) = serving(&streams.setup()).await;
    let running = begun(&gateway, &key, &streams).await;
    let mut stop = begin_stop(&gateway.pid().to_string());
    // It was told, and has something to finish.
    until("the listener's end", || TcpStream::connect(gateway.address).is_err().then_some(())).await;
    assert!(stop.try_wait().expect("a child").is_none(), "systemd would kill the process now");
    streams.go_on();
    assert_whole(running).await;
    assert!(gateway.ended().await.success());
    assert!(until("the end of the command", || stop.try_wait().expect("a child")).await.success());
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_service_that_has_ended_by_itself_is_not_waited_for() {
    let mut stop = begin_stop("");
    assert!(until("the end of the command", || stop.try_wait().expect("a child")).await.success());
}

/// The shell's lines that the guide has behind a heading.
fn block(heading: &str) -> String {
    let guide = deployed("OPERATIONS.md");
    let (_, rest) = guide.split_once(&format!("**{heading}**")).unwrap_or_else(|| panic!("{heading}: it is not there"));
    let (_, rest) = rest.split_once("```sh\n").expect("a block");
    rest.split("```").next().expect("its end").to_owned()
}

/// What the guide's blocks are run in: the store's folder of a gateway that does not run, where the service is started and stopped
/// by nobody, and where there is no user of its own.
struct Operator<'g> {
    gateway: &'g Gateway,
    tools: tempfile::TempDir,
}

impl<'g> Operator<'g> {
    fn new(gateway: &'g Gateway) -> Self {
        let tools = tempfile::tempdir().expect("a temporary folder");
        let config = gateway.path("tollgate.toml");
        let tollgate = format!("exec {:?} \"$@\" -c {config:?}", gateway.program);
        for (tool, does) in [("systemctl", "exit 0"), ("tollgate", &*tollgate)] {
            let path = tools.path().join(tool);
            std::fs::write(&path, format!("#!/bin/sh\n{does}\n")).expect("a writable folder");
            let made = Command::new("chmod").arg("755").arg(&path).status();
            assert!(made.expect("chmod runs").success());
        }
        Self { gateway, tools }
    }

    /// Its last line decides, and none may complain.
    fn does(&self, heading: &str) {
        let backup = self.gateway.path("backup");
        let script = block(heading).replace("/backup", backup.to_str().expect("UTF-8"));
        let script = script.replace(" -o tollgate -g tollgate", "").replace("chown -R tollgate:tollgate", "test -d");
        let path = format!("{}:{}", self.tools.path().display(), std::env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).current_dir(self.gateway.path("data")).env("PATH", path);
        let done = shell.output().expect("a shell");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && said.is_empty(), "{heading}: {}: {said}", done.status);
    }
}

async fn ask(gateway: &Gateway, key: &Key, times: usize) {
    for _ in 0..times {
        assert_eq!(gateway.send(&plain_chat(true).key(&key.key)).await.status, 200);
    }
}

fn permissions(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

/// Restores a copy that has two records into a gateway that has ended with more: beside what is there, once more, and on a new machine.
async fn restores(gateway: &mut Gateway, key: &Key, heading: &str) {
    for place in ["beside another", "once more", "on a new machine"] {
        if place == "on a new machine" {
            std::fs::remove_dir_all(gateway.path("data")).expect("our folder");
            std::fs::create_dir(gateway.path("data")).expect("our folder");
        }
        let others = gateway.path("data/tollgate.db.of-another");
        std::fs::write(&others, "").expect("our folder");
        Operator::new(gateway).does(heading);
        assert!(!others.exists(), "{place}: what is beside another store is not the copy's");
        gateway.serve().await;
        assert_eq!(gateway.records().len(), 2, "{place}");
        ask(gateway, key, 1).await;
        gateway.wait_records(3).await;
        gateway.stop().await;
        gateway.verify();
    }
}

#[tokio::test]
async fn a_copy_of_a_running_store_can_be_restored_over_and_over() {
    if !is_installed("sqlite3") {
        return;
    }
    let provider = Provider::always(Wire::Chat.answer(true)).await;
    let (mut gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    ask(&gateway, &key, 2).await;
    gateway.wait_records(2).await;
    Operator::new(&gateway).does("A copy while it runs");
    assert_eq!(permissions(&gateway.path("backup/tollgate.db")), 0o600, "nobody else reads it");
    ask(&gateway, &key, 3).await;
    gateway.stop().await;
    restores(&mut gateway, &key, "Restore a copy that was made while it ran").await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_copy_of_a_store_and_its_journal_can_be_restored_over_and_over() {
    let provider = Provider::always(Wire::Chat.answer(true)).await;
    let (mut gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    ask(&gateway, &key, 2).await;
    gateway.stop().await;
    Operator::new(&gateway).does("A copy without a gap");
    gateway.serve().await;
    ask(&gateway, &key, 3).await;
    gateway.stop().await;
    restores(&mut gateway, &key, "Restore a copy without a gap").await;
    gateway.finish(&[&key]).await;
}
