//! How requests that still come in here are admitted by the process that has taken over.

use super::channel::Channel;
use super::{FromNew, FromOld};
use crate::ledger::{Ask, Granting, Successor};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Until it says whether a request is admitted.
const ANSWER_MAX: Duration = Duration::from_secs(2);

type Question = (Ask, oneshot::Sender<Granting>);

/// Asks it, one question at a time.
pub(super) struct Asker {
    questions: mpsc::Sender<Question>,
    begin: mpsc::Sender<Channel>,
}

impl Asker {
    /// Made while there is a way back: its thread waits for [`Asker::begin`].
    ///
    /// # Errors
    /// No thread can be started.
    pub(super) fn new() -> Result<Self, String> {
        let (questions, asked) = mpsc::channel();
        let (begin, begun) = mpsc::channel();
        let ask = move || {
            if let Ok(channel) = begun.recv() {
                ask_all(channel, &asked);
            }
        };
        let spawned = std::thread::Builder::new().name("successor".to_owned()).spawn(ask);
        spawned.map_err(|error| format!("no thread can be started: {error}"))?;
        Ok(Self { questions, begin })
    }

    /// From here on it asks over this channel.
    pub(super) fn begin(&self, channel: Channel) {
        // The thread waits for nothing else.
        let _ = self.begin.send(channel);
    }
}

fn ask_all(mut channel: Channel, asked: &mpsc::Receiver<Question>) {
    for (ask, reply) in asked {
        if channel.send(&FromOld::Ask(ask)).is_err() {
            return;
        }
        match channel.receive(Some(Instant::now() + ANSWER_MAX), || false) {
            // Who does not wait any more has voided the hold.
            Ok(FromNew::Answer(granting)) => drop(reply.send(granting)),
            // Of an answer that comes later nobody would know to which question.
            _ => return,
        }
    }
}

impl Successor for Asker {
    fn ask(&self, ask: Ask) -> oneshot::Receiver<Granting> {
        let (reply, answer) = oneshot::channel();
        // If nobody asks any more, the reply is dropped: that is an answer, too.
        let _ = self.questions.send((ask, reply));
        answer
    }
}

/// There is nobody to ask.
pub(super) struct Nobody;

impl Successor for Nobody {
    fn ask(&self, _ask: Ask) -> oneshot::Receiver<Granting> {
        oneshot::channel().1
    }
}
