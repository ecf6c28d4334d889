use super::*;
use crate::Ports;
use std::io::Read;

fn outbox(limits: OutboxLimits) -> Outbox {
    Outbox::new("x", limits, Ports::to_nothing().losses)
}

fn put(outbox: &Outbox, entry: &[u8]) {
    outbox.put(|bytes| bytes.extend_from_slice(entry));
}

fn text(batch: &Batch) -> String {
    batch.pieces().map(|piece| str::from_utf8(piece).unwrap()).collect()
}

#[derive(Default)]
struct Counted(Mutex<Vec<(Loss, u64)>>);

impl Losses for Counted {
    fn lost(&self, plugin: &'static str, loss: Loss, count: u64) {
        assert_eq!(plugin, "x");
        self.0.lock().unwrap().push((loss, count));
    }
}

#[test]
fn what_is_lost_is_counted_from_zero_by_its_reason() {
    let losses = Arc::<Counted>::default();
    let outbox = Outbox::new("x", OutboxLimits { entries_max: 1, ..LIMITS }, losses.clone());
    put(&outbox, b"taken");
    put(&outbox, b"lost");
    outbox.undelivered(1);
    outbox.close();
    put(&outbox, b"too late");
    let [full, undelivered] = Loss::ALL;
    let expected = [(full, 0), (undelivered, 0), (full, 1), (undelivered, 1), (undelivered, 1)];
    let counted = losses.0.lock().unwrap().clone();
    assert_eq!(counted, expected);
}
/// Longer than any test runs: what is taken is taken for another reason.
const NEVER: Duration = Duration::from_secs(3600);
const LIMITS: OutboxLimits = OutboxLimits { entries_max: 6, batch_entries_max: 3, batch_bytes_max: 10, gather: NEVER };

fn taken(outbox: &Outbox) -> Option<(String, u64, u64)> {
    let mut batch = Batch::default();
    outbox.take(&mut batch).then_some((text(&batch), batch.count, batch.dropped))
}

#[test]
fn batches_are_full_by_entries_or_by_bytes_and_what_does_not_fit_is_counted() {
    let outbox = outbox(LIMITS);
    for text in ["a", "b", "c", "d", "0123456789+", "e", "lost", "lost"] {
        put(&outbox, text.as_bytes());
    }
    assert_eq!(taken(&outbox), Some(("abc".to_owned(), 3, 2)));
    put(&outbox, b"f");
    outbox.close();
    put(&outbox, b"too late");
    assert_eq!(taken(&outbox), Some(("d".to_owned(), 1, 1)));
    assert_eq!(taken(&outbox), Some(("0123456789+".to_owned(), 1, 0)));
    assert_eq!(taken(&outbox), Some(("ef".to_owned(), 2, 0)));
    assert_eq!(taken(&outbox), None);
}

#[test]
fn a_batch_is_gathered_for_a_while_and_no_longer() {
    let outbox = outbox(OutboxLimits { gather: Duration::from_millis(1), ..LIMITS });
    put(&outbox, b"a");
    assert_eq!(taken(&outbox), Some(("a".to_owned(), 1, 0)));
}

#[test]
fn a_flush_ends_when_all_before_it_is_dealt_with() {
    let outbox = Arc::new(outbox(LIMITS));
    let dealt_with = Arc::new(Mutex::new(String::new()));
    let thread = std::thread::spawn({
        let (outbox, dealt_with) = (outbox.clone(), dealt_with.clone());
        move || {
            let mut batch = Batch::default();
            while outbox.take(&mut batch) {
                dealt_with.lock().unwrap().push_str(&text(&batch));
            }
        }
    });
    for number in 0..100 {
        put(&outbox, number.to_string().as_bytes());
        outbox.flush(NEVER);
        assert!(dealt_with.lock().unwrap().ends_with(&number.to_string()));
    }
    outbox.close();
    thread.join().unwrap();
}

#[test]
fn a_pause_ends_by_itself_and_by_who_flushes_or_closes() {
    outbox(LIMITS).pause(Duration::from_millis(1));
    for end in [Outbox::close, |outbox: &Outbox| outbox.flush(Duration::ZERO)] {
        let outbox = outbox(LIMITS);
        std::thread::scope(|scope| {
            let pausing = scope.spawn(|| outbox.pause(NEVER));
            // What is put in meanwhile wakes nobody for long.
            (0..5).for_each(|_| put(&outbox, b"0123456789"));
            end(&outbox);
            pausing.join().unwrap();
        });
    }
}

#[test]
fn a_flush_that_nobody_answers_is_given_up() {
    let outbox = outbox(LIMITS);
    put(&outbox, b"a");
    outbox.flush(Duration::from_millis(1));
    assert_eq!(taken(&outbox), Some(("a".to_owned(), 1, 0)));
}

#[test]
fn whatever_many_threads_put_is_taken_once_whole_and_in_each_ones_order_or_counted() {
    const THREADS: u64 = 2 * LANES as u64 + 1;
    const ENTRIES: u64 = 2_000;
    for (entries_max, gather) in
        [(u64::MAX, Duration::from_micros(50)), (u64::MAX, NEVER), (100, Duration::from_micros(50))]
    {
        let limits = OutboxLimits { entries_max, batch_entries_max: 64, batch_bytes_max: 1000, gather };
        let losses = Arc::<Counted>::default();
        let outbox = Outbox::new("x", limits, losses.clone());
        let (mut taken, mut dropped) = (Vec::new(), 0);
        std::thread::scope(|scope| {
            let taking = scope.spawn(|| {
                let mut batch = Batch::default();
                while outbox.take(&mut batch) {
                    let text = text(&batch);
                    assert_eq!(text.lines().count() as u64, batch.count);
                    assert_eq!(batch.bytes(), text.len());
                    assert!(batch.count <= limits.batch_entries_max);
                    taken.extend(text.lines().map(|line| {
                        let (thread, entry) = line.split_once(' ').unwrap();
                        (thread.parse::<u64>().unwrap(), entry.parse::<u64>().unwrap())
                    }));
                    dropped += batch.dropped;
                }
                dropped += batch.dropped;
            });
            let putting: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let outbox = &outbox;
                    scope.spawn(move || {
                        for entry in 0..ENTRIES {
                            put(outbox, format!("{thread} {entry}\n").as_bytes());
                        }
                        if thread % 4 == 0 {
                            outbox.flush(NEVER);
                        }
                    })
                })
                .collect();
            putting.into_iter().for_each(|thread| thread.join().unwrap());
            outbox.close();
            put(&outbox, b"too late");
            taking.join().unwrap();
        });
        // One came when it was closed; whether it was told of by then is nobody's business.
        let lost: u64 = losses.0.lock().unwrap().iter().map(|(_, count)| count).sum();
        assert_eq!(taken.len() as u64 + lost, THREADS * ENTRIES + 1);
        assert!(lost - 1 <= dropped + 1 && dropped <= lost, "{dropped} of {lost}");
        assert!(entries_max < u64::MAX || lost == 1);
        let mut next = [0; THREADS as usize];
        for (thread, entry) in taken {
            assert!(entry >= next[thread as usize], "{thread}: {entry}");
            next[thread as usize] = entry + 1;
        }
    }
}

#[test]
fn what_somebody_began_who_panicked_is_in_nobodys_entry() {
    let outbox = outbox(OutboxLimits { batch_entries_max: 100, batch_bytes_max: 100, ..LIMITS });
    put(&outbox, b"whole, ");
    let half = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        outbox.put(|bytes| {
            bytes.extend_from_slice(b"half");
            panic!("on purpose");
        });
    }));
    assert!(half.is_err());
    outbox.flush(Duration::ZERO);
    assert_eq!(taken(&outbox), Some(("whole, ".to_owned(), 1, 0)));
    put(&outbox, b"whole again");
    outbox.close();
    assert_eq!(taken(&outbox), Some(("whole again".to_owned(), 1, 0)));
}

#[test]
fn a_large_entry_keeps_no_memory_for_the_next_one() {
    let outbox = outbox(OutboxLimits { batch_entries_max: 100, batch_bytes_max: 1 << 30, ..LIMITS });
    let large = vec![b'x'; ENTRY_BYTES_KEPT + 1];
    let next_finds = |entry: &[u8]| {
        put(&outbox, entry);
        let mut found = 0;
        outbox.put(|bytes| found = bytes.capacity());
        found
    };
    assert!(next_finds(b"small") > 0);
    assert_eq!(next_finds(&large), 0);
    outbox.close();
    let (taken, count, _) = taken(&outbox).unwrap();
    assert_eq!((taken.len(), count), (large.len() + 5, 4));
}

#[test]
fn a_batch_is_read_as_one() {
    let outbox = outbox(OutboxLimits { batch_entries_max: 100, batch_bytes_max: 100, ..LIMITS });
    for entry in ["a long entry", "", "b", "another long entry"] {
        put(&outbox, entry.as_bytes());
    }
    outbox.close();
    let (mut batch, mut read) = (Batch::default(), String::new());
    assert!(outbox.take(&mut batch));
    batch.reader().read_to_string(&mut read).unwrap();
    assert_eq!(read, text(&batch));
    assert_eq!((batch.pieces().count(), batch.count), (2, 4));
}
