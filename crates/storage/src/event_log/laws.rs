//! What every [`EventLog`] does. A law that does not hold is a panic that says which.

use std::sync::Arc;

use bytes::Bytes;

use super::{Append, Entry, EventLog, Position, Topic};
use crate::Error;

/// All laws, on a log that nobody else uses and that was empty at first. It needs two partitions at least.
pub async fn all(log: Arc<dyn EventLog>) {
    an_empty_log_has_nothing(&*log).await;
    appends_are_read_in_order(&*log).await;
    logs_are_independent(&*log).await;
    payloads_are_intact(&*log).await;
    results_follow_the_order_of_entries(&*log).await;
    trim_drops_what_it_names_and_nothing_else(&*log).await;
    the_tail_survives_trimming(&*log).await;
    concurrent_appends_lose_nothing(log.clone()).await;
    unknown_partitions_are_refused(&*log).await;
}

fn entries(partition: u32, topic: Topic, payloads: &[&str]) -> Vec<Append> {
    let payload = |text: &&str| Append {
        partition,
        topic,
        payload: Bytes::copy_from_slice(text.as_bytes()),
    };
    payloads.iter().map(payload).collect()
}

async fn append(log: &dyn EventLog, entries: Vec<Append>) -> Vec<Position> {
    log.append(entries)
        .await
        .into_iter()
        .map(|result| result.expect("appended"))
        .collect()
}

async fn read_from(log: &dyn EventLog, partition: u32, topic: Topic, after: Position) -> Vec<Entry> {
    log.read(partition, topic, after, 100_000).await.expect("read")
}

/// Everything after `after`, read a few entries at a time, as a reader does.
async fn read_in_steps(
    log: &dyn EventLog,
    partition: u32,
    topic: Topic,
    mut after: Position,
    step: usize,
) -> Vec<Entry> {
    let mut all = Vec::new();
    loop {
        let some = log.read(partition, topic, after, step).await.expect("read");
        assert!(some.len() <= step, "no more entries than asked for");
        let Some(last) = some.last() else { return all };
        after = last.position;
        all.extend(some);
    }
}

fn texts(entries: &[Entry]) -> Vec<&str> {
    entries
        .iter()
        .map(|entry| std::str::from_utf8(&entry.payload).expect("text"))
        .collect()
}

/// A log that never had an entry is empty and its tail is the start.
pub async fn an_empty_log_has_nothing(log: &dyn EventLog) {
    for topic in Topic::ALL {
        assert_eq!(log.tail(0, topic).await.expect("tail"), Position::START);
        assert_eq!(read_from(log, 0, topic, Position::START).await, []);
        log.trim(0, topic, Position { major: 0, minor: 9 })
            .await
            .expect("trimming nothing");
        assert_eq!(log.tail(0, topic).await.expect("tail"), Position::START);
    }
    assert_eq!(log.append(Vec::new()).await.len(), 0);
}

/// Positions grow with every append, entries are read in that order, from any of them on, and the tail is the last one.
pub async fn appends_are_read_in_order(log: &dyn EventLog) {
    let (partition, topic) = (0, Topic::Exposures);
    let start = log.tail(partition, topic).await.expect("tail");
    let mut positions = append(log, entries(partition, topic, &["a", "b"])).await;
    positions.extend(append(log, entries(partition, topic, &["c"])).await);
    assert!(
        start < positions[0] && positions.is_sorted_by(|a, b| a < b),
        "positions grow: {positions:?}"
    );
    let read = read_from(log, partition, topic, start).await;
    assert_eq!(texts(&read), ["a", "b", "c"]);
    assert_eq!(
        read.iter().map(|entry| entry.position).collect::<Vec<_>>(),
        positions
    );
    assert_eq!(
        texts(&read_from(log, partition, topic, positions[0]).await),
        ["b", "c"]
    );
    assert_eq!(
        texts(&log.read(partition, topic, start, 2).await.expect("read")),
        ["a", "b"]
    );
    assert_eq!(read_in_steps(log, partition, topic, start, 2).await, read);
    assert_eq!(read_from(log, partition, topic, positions[2]).await, []);
    assert_eq!(log.tail(partition, topic).await.expect("tail"), positions[2]);
    for position in positions {
        assert_eq!(
            position.to_string().parse::<Position>().expect("parsed"),
            position
        );
    }
}

/// What is appended to one (partition, topic) is not seen in another, nor trimmed with another.
pub async fn logs_are_independent(log: &dyn EventLog) {
    let logs: Vec<(u32, Topic)> = (0..2)
        .flat_map(|partition| Topic::ALL.map(|topic| (partition, topic)))
        .collect();
    let mut starts = Vec::new();
    for &(partition, topic) in &logs {
        starts.push(log.tail(partition, topic).await.expect("tail"));
    }
    let mixed = ["0", "1", "2", "3", "4", "5", "6", "7"]
        .iter()
        .zip(logs.iter().cycle());
    let mixed = mixed
        .flat_map(|(text, &(partition, topic))| entries(partition, topic, &[text]))
        .collect();
    append(log, mixed).await;
    for (index, &(partition, topic)) in logs.iter().enumerate() {
        let read = read_from(log, partition, topic, starts[index]).await;
        assert_eq!(
            texts(&read),
            [index.to_string(), (index + 4).to_string()],
            "{partition} {topic:?}"
        );
    }
    let tail = log.tail(0, Topic::Events).await.expect("tail");
    log.trim(0, Topic::Events, tail).await.expect("trim");
    assert_eq!(read_from(log, 0, Topic::Events, Position::START).await, []);
    assert_eq!(read_from(log, 0, Topic::Exposures, starts[0]).await.len(), 2);
    assert_eq!(read_from(log, 1, Topic::Events, starts[3]).await.len(), 2);
}

/// A payload comes back byte for byte: empty, every byte value, 1 MiB.
pub async fn payloads_are_intact(log: &dyn EventLog) {
    let (partition, topic) = (1, Topic::Events);
    let start = log.tail(partition, topic).await.expect("tail");
    let large: Vec<u8> = (0..1 << 20)
        .map(|index: u32| (index.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let payloads = [
        Bytes::new(),
        Bytes::from_iter(0..=255),
        Bytes::from(large),
        Bytes::from_static(b"\r\n$-1\r\n"),
    ];
    append(
        log,
        payloads
            .iter()
            .map(|payload| Append {
                partition,
                topic,
                payload: payload.clone(),
            })
            .collect(),
    )
    .await;
    let read: Vec<Bytes> = read_from(log, partition, topic, start)
        .await
        .into_iter()
        .map(|entry| entry.payload)
        .collect();
    assert!(read == payloads, "payloads changed");
}

/// The n-th result belongs to the n-th entry, also when there are many and for several logs.
pub async fn results_follow_the_order_of_entries(log: &dyn EventLog) {
    let mut starts = [Position::START; 2];
    for partition in 0..2 {
        starts[partition as usize] = log.tail(partition, Topic::Exposures).await.expect("tail");
    }
    let partition_of = |index: u32| (index * 7 / 3) % 2;
    let many = (0..1500).map(|index| Append {
        partition: partition_of(index),
        topic: Topic::Exposures,
        payload: Bytes::from(index.to_string()),
    });
    let positions = append(log, many.collect()).await;
    assert_eq!(positions.len(), 1500);
    for partition in 0..2 {
        let expected: Vec<(Position, String)> = (0..1500)
            .filter(|&index| partition_of(index) == partition)
            .map(|index| (positions[index as usize], index.to_string()))
            .collect();
        let read = read_in_steps(log, partition, Topic::Exposures, starts[partition as usize], 100).await;
        let read: Vec<_> = read
            .iter()
            .map(|entry| entry.position)
            .zip(texts(&read).into_iter().map(str::to_owned))
            .collect();
        assert_eq!(read, expected);
    }
}

/// Trimming drops the entries up to and including a position, and no later one; trimming again or lower changes nothing.
pub async fn trim_drops_what_it_names_and_nothing_else(log: &dyn EventLog) {
    let (partition, topic) = (1, Topic::Exposures);
    let positions = append(log, entries(partition, topic, &["a", "b", "c", "d"])).await;
    log.trim(partition, topic, positions[1]).await.expect("trim");
    assert_eq!(
        texts(&read_from(log, partition, topic, Position::START).await),
        ["c", "d"]
    );
    log.trim(partition, topic, positions[0])
        .await
        .expect("trim lower");
    assert_eq!(
        texts(&read_from(log, partition, topic, positions[0]).await),
        ["c", "d"]
    );
    append(log, entries(partition, topic, &["e"])).await;
    assert_eq!(
        texts(&read_from(log, partition, topic, positions[1]).await),
        ["c", "d", "e"]
    );
}

/// When all is trimmed the tail stays, and new entries come after it.
pub async fn the_tail_survives_trimming(log: &dyn EventLog) {
    let (partition, topic) = (0, Topic::Events);
    let last = append(log, entries(partition, topic, &["a", "b"])).await[1];
    log.trim(partition, topic, last).await.expect("trim");
    assert_eq!(read_from(log, partition, topic, Position::START).await, []);
    assert_eq!(log.tail(partition, topic).await.expect("tail"), last);
    let next = append(log, entries(partition, topic, &["c"])).await[0];
    assert!(next > last);
    assert_eq!(texts(&read_from(log, partition, topic, last).await), ["c"]);
}

/// Appends of many callers at once are all there once, each caller's in its order.
pub async fn concurrent_appends_lose_nothing(log: Arc<dyn EventLog>) {
    const CALLERS: usize = 8;
    const CALLS: usize = 25;
    let (partition, topic) = (0, Topic::Exposures);
    let start = log.tail(partition, topic).await.expect("tail");
    let caller = |caller: usize| {
        let log = log.clone();
        async move {
            let mut mine = Vec::new();
            for call in 0..CALLS {
                let texts = [
                    format!("{caller} {call} first"),
                    format!("{caller} {call} second"),
                ];
                let positions = append(&*log, entries(partition, topic, &[&texts[0], &texts[1]])).await;
                mine.extend(positions.into_iter().zip(texts));
            }
            assert!(mine.is_sorted_by(|a, b| a.0 < b.0), "a caller's positions grow");
            mine
        }
    };
    let tasks: Vec<_> = (0..CALLERS).map(|number| tokio::spawn(caller(number))).collect();
    let mut expected = Vec::new();
    for task in tasks {
        expected.extend(task.await.expect("caller"));
    }
    expected.sort();
    let read = read_from(&*log, partition, topic, start).await;
    let read: Vec<_> = read
        .iter()
        .map(|entry| entry.position)
        .zip(texts(&read).into_iter().map(str::to_owned))
        .collect();
    assert_eq!(read, expected);
}

/// A partition that the log does not have is refused, and the entries beside it say so or are appended.
pub async fn unknown_partitions_are_refused(log: &dyn EventLog) {
    let beyond = log.partitions();
    let results = log.append(entries(beyond, Topic::Events, &["a"])).await;
    assert!(matches!(results[..], [Err(Error::Refused { .. })]), "{results:?}");
    assert!(matches!(
        log.read(beyond, Topic::Events, Position::START, 1).await,
        Err(Error::Refused { .. })
    ));
    assert!(matches!(
        log.trim(beyond, Topic::Events, Position::START).await,
        Err(Error::Refused { .. })
    ));
}
