use std::{collections::VecDeque, fs, path::Path};

use super::*;
use crate::analysis_store::laws::Random;

const SMALL: SpoolLimits = SpoolLimits {
    segment_bytes: 200,
    total_bytes: 1 << 20,
    sync_closed: true,
};

fn open(directory: &Path) -> Spool {
    Spool::open(directory, SMALL).unwrap()
}

fn payloads(spool: &mut Spool) -> Vec<Vec<u8>> {
    spool
        .read(usize::MAX)
        .unwrap()
        .into_iter()
        .map(|frame| frame.payload.to_vec())
        .collect()
}

fn segment_files(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|end| end == "spool"))
        .collect();
    files.sort();
    files
}

#[test]
fn frames_are_read_in_order_until_they_are_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let mut spool = open(directory.path());
    spool.append(&["a", "", "c"]).unwrap();
    assert_eq!(payloads(&mut spool), [&b"a"[..], b"", b"c"]);
    let two = spool.read(2).unwrap();
    assert_eq!(two.len(), 2);
    assert_eq!(spool.reader.read_after(two[1].cursor, 9).unwrap()[0].payload, "c");
    spool.acknowledge(two[1].cursor).unwrap();
    spool.acknowledge(two[0].cursor).unwrap();
    assert_eq!(payloads(&mut spool), [b"c"]);
    spool.append(&["d"]).unwrap();
    assert_eq!(payloads(&mut spool), [b"c", b"d"]);
    drop(spool);
    let mut spool = open(directory.path());
    assert_eq!(
        spool.recovered,
        Recovered {
            frames: 2,
            bytes: 26,
            torn_bytes: 0,
            corrupt: 0
        }
    );
    assert_eq!(payloads(&mut spool), [b"c", b"d"]);
}

#[test]
fn acknowledged_segments_are_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let mut spool = open(directory.path());
    for _ in 0..10 {
        spool.append(&[[7; 100], [8; 100]]).unwrap();
    }
    assert_eq!(segment_files(directory.path()).len(), 10);
    let frames = spool.read(usize::MAX).unwrap();
    spool.acknowledge(frames[10].cursor).unwrap();
    assert_eq!(segment_files(directory.path()).len(), 5);
    spool.acknowledge(frames[19].cursor).unwrap();
    assert_eq!(segment_files(directory.path()).len(), 0);
    assert_eq!(spool.writer.pending_bytes(), 0);
    spool.append(&["later"]).unwrap();
    assert_eq!(payloads(&mut spool), [b"later"]);
    drop(spool);
    assert_eq!(payloads(&mut open(directory.path())), [b"later"]);
}

#[test]
fn a_full_spool_refuses_and_acknowledging_makes_room() {
    let directory = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(
        directory.path(),
        SpoolLimits {
            total_bytes: 300,
            ..SMALL
        },
    )
    .unwrap();
    spool.append(&[[1; 88], [2; 88]]).unwrap();
    let full = spool.append(&[[3; 88], [4; 88]]).unwrap_err();
    assert!(matches!(full, Error::Full { store: "spool", .. }), "{full:?}");
    spool.append(&[[5; 88]]).unwrap();
    assert_eq!(spool.writer.pending_bytes(), 300);
    let frames = spool.read(9).unwrap();
    assert_eq!(
        frames.iter().map(|frame| frame.payload[0]).collect::<Vec<_>>(),
        [1, 2, 5],
        "all or nothing"
    );
    spool.acknowledge(frames[0].cursor).unwrap();
    spool.append(&[[6; 88]]).unwrap();
    drop(spool);
    let spool = Spool::open(
        directory.path(),
        SpoolLimits {
            total_bytes: 300,
            ..SMALL
        },
    )
    .unwrap();
    assert_eq!(spool.writer.pending_bytes(), 300, "the limit survives reopening");
}

#[test]
fn a_torn_end_is_cut_off_wherever_it_is_torn() {
    for cut in 1..=40 {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = open(directory.path());
        spool.append(&["first", "second"]).unwrap();
        drop(spool);
        let file = &segment_files(directory.path())[0];
        let bytes = fs::read(file).unwrap();
        let kept = bytes.len().saturating_sub(cut);
        fs::write(file, &bytes[..kept]).unwrap();
        let mut spool = open(directory.path());
        let expected: &[&[u8]] = if kept < 17 { &[] } else { &[b"first"] };
        assert_eq!(payloads(&mut spool), expected, "{cut} bytes missing");
        spool.append(&["third"]).unwrap();
        assert_eq!(payloads(&mut spool).last().unwrap(), b"third");
        drop(spool);
        assert_eq!(
            open(directory.path()).recovered.corrupt,
            0,
            "the torn end is gone"
        );
    }
}

#[test]
fn a_damaged_byte_loses_its_frame_alone() {
    let frames = [&b"ASF1 first"[..], b"second", b"third"];
    let ends = [22, 40, 57];
    for at in 0..57 {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = open(directory.path());
        spool.append(&frames).unwrap();
        drop(spool);
        let file = &segment_files(directory.path())[0];
        let mut bytes = fs::read(file).unwrap();
        bytes[at] ^= 0x41;
        fs::write(file, &bytes).unwrap();
        let hit = ends.iter().position(|end| at < *end).unwrap();
        let expected: Vec<_> = frames
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != hit)
            .map(|(_, frame)| *frame)
            .collect();
        let mut spool = open(directory.path());
        assert_eq!(payloads(&mut spool), expected, "byte {at}");
        let corrupt = u64::from(hit < 2);
        assert_eq!(
            (spool.recovered.corrupt, spool.reader.corrupt()),
            (corrupt, corrupt),
            "byte {at}"
        );
        let _ = payloads(&mut spool);
        assert_eq!(spool.reader.corrupt(), corrupt, "damage is counted once");
    }
}

#[test]
fn large_frames_and_damage_between_them_are_read_over() {
    let directory = tempfile::tempdir().unwrap();
    let limits = SpoolLimits {
        segment_bytes: 64 << 20,
        total_bytes: 64 << 20,
        sync_closed: false,
    };
    let mut spool = Spool::open(directory.path(), limits).unwrap();
    let large: Vec<Vec<u8>> = (0..5)
        .map(|index: usize| vec![index as u8; (1 << 20) + index * 700_000])
        .collect();
    spool.append(&large).unwrap();
    spool.append(&vec![[9; 100]; 20_000]).unwrap();
    assert_eq!(payloads(&mut spool)[..5], large);
    drop(spool);
    let file = &segment_files(directory.path())[0];
    let mut bytes = fs::read(file).unwrap();
    bytes[(1 << 20) + 100] ^= 1;
    fs::write(file, &bytes).unwrap();
    let mut spool = Spool::open(directory.path(), limits).unwrap();
    let found = payloads(&mut spool);
    assert_eq!(found.len(), 20_004);
    assert_eq!(found[1], large[2]);
}

#[test]
fn a_spool_has_one_process() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    assert!(matches!(
        Spool::open(directory.path(), SMALL),
        Err(Error::Refused { .. })
    ));
    drop(spool);
    open(directory.path());
}

#[test]
fn a_writer_and_a_reader_work_at_the_same_time() {
    let directory = tempfile::tempdir().unwrap();
    let limits = SpoolLimits {
        segment_bytes: 1_000,
        total_bytes: 10_000,
        sync_closed: false,
    };
    let (mut writer, mut reader) = Spool::open(directory.path(), limits).unwrap().split();
    const FRAMES: u32 = 20_000;
    let appends = std::thread::spawn(move || {
        let mut next = 0;
        while next < FRAMES {
            let batch: Vec<_> = (next..FRAMES.min(next + 7)).map(u32::to_le_bytes).collect();
            match writer.append(&batch) {
                Ok(()) => next += batch.len() as u32,
                Err(Error::Full { .. }) => std::thread::yield_now(),
                Err(error) => panic!("{error:?}"),
            }
        }
    });
    let mut expected = 0;
    while expected < FRAMES {
        let frames = reader.read(50).unwrap();
        for frame in &frames {
            assert_eq!(frame.payload[..], expected.to_le_bytes());
            expected += 1;
        }
        if let Some(last) = frames.last() {
            reader.acknowledge(last.cursor).unwrap();
        }
    }
    appends.join().unwrap();
    assert_eq!((reader.pending_bytes(), reader.corrupt()), (0, 0));
}

/// Appends, reads, acknowledgments, reopenings and torn or damaged files in any order: what is read is what the model holds.
#[test]
fn any_history_yields_every_unacknowledged_frame() {
    for seed in 0..80 {
        let mut random = Random::new(seed);
        let directory = tempfile::tempdir().unwrap();
        let mut spool = Some(open(directory.path()));
        let mut pending: VecDeque<Vec<u8>> = VecDeque::new();
        for step in 0..60 {
            let open_spool = spool.as_mut().unwrap();
            match random.below(8) {
                0..=3 => {
                    let frame = |_| {
                        (0..random.below(90))
                            .map(|_| random.below(3) as u8 + b'A')
                            .collect::<Vec<_>>()
                    };
                    let batch: Vec<_> = (0..1 + seed % 5).map(frame).collect();
                    open_spool.append(&batch).unwrap();
                    pending.extend(batch);
                }
                4 | 5 => {
                    let frames = open_spool.read(random.below(9) as usize).unwrap();
                    if let Some(last) = frames.last() {
                        open_spool.acknowledge(last.cursor).unwrap();
                        pending.drain(..frames.len());
                    }
                }
                6 => spool = Some(reopen(spool.take(), directory.path())),
                _ => {
                    drop(spool.take());
                    append_half_a_frame(&mut random, directory.path());
                    spool = Some(open(directory.path()));
                    assert_eq!(spool.as_ref().unwrap().recovered.corrupt, 0);
                }
            }
            let open_spool = spool.as_mut().unwrap();
            assert_eq!(
                payloads(open_spool),
                Vec::from_iter(pending.iter().cloned()),
                "seed {seed}, step {step}"
            );
            let bytes: usize = pending.iter().map(|frame| frame.len() + frame::HEADER).sum();
            assert_eq!(
                open_spool.writer.pending_bytes(),
                bytes as u64,
                "seed {seed}, step {step}"
            );
        }
    }
}

fn reopen(spool: Option<Spool>, directory: &Path) -> Spool {
    drop(spool);
    open(directory)
}

/// What a process that dies while it appends leaves behind.
fn append_half_a_frame(random: &mut Random, directory: &Path) {
    let Some(last) = segment_files(directory).pop() else {
        return;
    };
    let mut frame = Vec::new();
    frame::encode(&mut frame, &[b'x'; 50]);
    frame.truncate(random.below(frame.len() as u64) as usize);
    let bytes = [fs::read(&last).unwrap(), frame].concat();
    fs::write(last, bytes).unwrap();
}
