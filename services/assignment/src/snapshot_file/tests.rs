use super::*;

fn saved() -> Saved {
    let value = |generation, bytes: &'static [u8]| Value {
        generation,
        bytes: Bytes::from_static(bytes),
    };
    let namespace = SavedNamespace {
        manifest: Manifest {
            generation: 7,
            count: 2,
            digest: [0xd1; 32],
        },
        resources: BTreeMap::from([
            ("flag/a".to_owned(), value(3, b"A")),
            ("flag/b".to_owned(), value(7, b"BB")),
        ]),
        last_good: BTreeMap::from([("flag/b".to_owned(), Bytes::from_static(b"b"))]),
    };
    Saved {
        namespaces: BTreeMap::from([(Namespace::default(), namespace)]),
    }
}

/// Version 1 as it was first written. It is read for ever.
const GOLDEN: &str = include_str!("v1.hex");

fn golden() -> Vec<u8> {
    let digits: Vec<u32> = GOLDEN.chars().filter_map(|c| c.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap())
        .collect()
}

#[test]
fn the_form_is_golden() {
    let hex: String = encode(&saved())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        hex,
        golden()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    );
    assert_eq!(decode(golden().into()).unwrap(), saved());
}

#[test]
fn what_is_written_is_read_and_the_old_file_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = path(&directory.path().join("new"));
    assert_eq!(read(&path).unwrap(), None);
    write(&path, &Saved::default()).unwrap();
    write(&path, &saved()).unwrap();
    assert_eq!(read(&path).unwrap(), Some(saved()));
}

#[test]
fn every_damage_is_found() {
    let whole = encode(&saved());
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        assert!(decode(damaged.into()).is_err(), "byte {at}");
        assert!(
            decode(Bytes::copy_from_slice(&whole[..at])).is_err(),
            "cut at {at}"
        );
    }
}

#[test]
fn content_that_lies_about_its_size_is_refused() {
    let sealed = |content: &[u8]| {
        let mut bytes = [&MAGIC[..], &1_u32.to_le_bytes(), content].concat();
        let digest = Sha256::digest(&bytes);
        bytes.extend(digest);
        decode(bytes.into())
    };
    assert!(sealed(&0_u32.to_le_bytes()).is_ok());
    assert!(sealed(&u32::MAX.to_le_bytes()).is_err());
    assert!(sealed(&[0, 0, 0, 0, 1]).is_err());
}

#[tokio::test]
async fn what_is_told_last_is_in_the_file_at_the_end() {
    for is_stopped in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let path = path(directory.path());
        let (tell, told) = watch::channel(None);
        let stop = Shutdown::new();
        tell.send_replace(Some(Arc::new(Saved::default())));
        tell.send_replace(Some(Arc::new(saved())));
        if is_stopped {
            stop.trigger();
        }
        // Nobody is left who could tell more.
        drop(tell);
        keep(path.clone(), told, &stop).await;
        assert_eq!(read(&path).unwrap(), Some(saved()));
    }
}
