//! How a publication is cut into transactions that etcd accepts.

use bytes::Bytes;

/// Most operations of a transaction; etcd allows 128.
const MAX_OPERATIONS: usize = 100;

/// Most bytes of keys and values of a transaction; etcd allows requests of 1.5 MiB.
const MAX_BYTES: usize = 1 << 20;

/// A key and its value.
pub(super) type Put = (String, Bytes);

/// The transactions of a publication, in order.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct Plan {
    /// Writes that come before the manifest.
    pub(super) before: Vec<Vec<Put>>,
    /// Writes in the manifest's own transaction, before it.
    pub(super) puts: Vec<Put>,
    /// Removals in the manifest's own transaction, before it.
    pub(super) deletes: Vec<String>,
    /// Removals that come after the manifest.
    pub(super) after: Vec<Vec<String>>,
}

/// The plan for `puts` and `deletes`. A publication that fits is one transaction, so nobody ever sees it half done.
pub(super) fn plan(puts: Vec<Put>, mut deletes: Vec<String>) -> Plan {
    let mut before: Vec<Vec<Put>> = vec![];
    let mut bytes = 0;
    for put in puts {
        let size = put.0.len() + put.1.len();
        match before.last_mut() {
            Some(chunk) if chunk.len() < MAX_OPERATIONS && bytes + size <= MAX_BYTES => {
                bytes += size;
                chunk.push(put);
            }
            _ => {
                bytes = size;
                before.push(vec![put]);
            }
        }
    }
    let room = MAX_OPERATIONS - 1;
    let last_fits = before
        .last()
        .is_some_and(|chunk| chunk.len() + deletes.len() <= room);
    let puts = if last_fits {
        before.pop().unwrap_or_default()
    } else {
        vec![]
    };
    let later = deletes.split_off(deletes.len().min(room - puts.len()));
    let after = later.chunks(MAX_OPERATIONS).map(<[String]>::to_vec).collect();
    Plan {
        before,
        puts,
        deletes,
        after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn puts(n: usize, size: usize) -> Vec<Put> {
        (0..n)
            .map(|i| (format!("k{i:04}"), Bytes::from(vec![0; size])))
            .collect()
    }

    fn deletes(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("d{i:04}")).collect()
    }

    #[test]
    fn what_fits_is_one_transaction() {
        let plan = plan(puts(60, 10), deletes(39));
        assert_eq!(
            (
                plan.before.len(),
                plan.puts.len(),
                plan.deletes.len(),
                plan.after.len()
            ),
            (0, 60, 39, 0)
        );
        assert_eq!(super::plan(vec![], vec![]), Plan::default());
    }

    #[test]
    fn every_transaction_is_within_the_limits_and_nothing_is_lost() {
        for (n, size, gone) in [
            (1, 1, 0),
            (99, 1, 0),
            (100, 1, 0),
            (101, 1, 99),
            (500, 4096, 250),
            (7, 400_000, 100),
            (3, 2_000_000, 101),
            (0, 0, 1000),
        ] {
            let plan = plan(puts(n, size), deletes(gone));
            assert!(plan.puts.len() + plan.deletes.len() < MAX_OPERATIONS);
            for chunk in plan.before.iter().chain([&plan.puts]) {
                let bytes: usize = chunk.iter().map(|(key, value)| key.len() + value.len()).sum();
                assert!(
                    chunk.len() <= MAX_OPERATIONS && (bytes <= MAX_BYTES || chunk.len() == 1),
                    "{n} × {size}"
                );
            }
            assert!(plan.after.iter().all(|chunk| chunk.len() <= MAX_OPERATIONS));
            let written: Vec<_> = plan.before.iter().flatten().chain(&plan.puts).cloned().collect();
            assert_eq!(written, puts(n, size));
            let removed: Vec<_> = plan
                .deletes
                .iter()
                .chain(plan.after.iter().flatten())
                .cloned()
                .collect();
            assert_eq!(removed, deletes(gone));
        }
    }
}
