//! What the guide and the unit have shells do, done by a shell.

use crate::calls::serving;
use crate::deploy::unit_values;
use crate::support::until;
use crate::upgrade::{Stopping, assert_whole, begun};
use std::net::TcpStream;
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
