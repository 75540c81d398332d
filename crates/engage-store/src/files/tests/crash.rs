//! What is found after a process or a machine died in the middle of a write.

use super::*;
use crate::files::line::MAX_BATCH_BYTES;
use crate::{AppendOutcome, DeviceStore};

/// A file of `sizes.len()` batches, and where the last one begins.
async fn written(directory: &Path, sizes: &[usize]) -> (std::path::PathBuf, usize) {
    let file = directory.join("0000000000000001/audits-2026-11.jsonl");
    let mut start = 0;
    for (seed, size) in sizes.iter().enumerate() {
        start = fs_err::read(&file).map_or(0, |contents| contents.len());
        let store = open(directory);
        store
            .append_audits(&call(1, NOVEMBER), batch(seed, *size))
            .await
            .unwrap();
    }
    (file, start)
}

#[tokio::test]
async fn cut_anywhere_in_its_last_record_a_file_keeps_every_other_line() {
    let folder = tempfile::tempdir().unwrap();
    let (file, start) = written(folder.path(), &[3, 1]).await;
    let whole = fs_err::read(&file).unwrap();
    for cut in start..whole.len() {
        fs_err::write(&file, &whole[..cut]).unwrap();
        drop(open(folder.path()));
        assert_eq!(
            codes(folder.path(), device(1)),
            codes_of(0, 3),
            "cut at {cut}"
        );
        let kept_in = file.with_extension(format!("jsonl.{start}.torn"));
        assert_eq!(kept_in.exists(), cut > start, "cut at {cut}");
        if kept_in.exists() {
            let kept = fs_err::read(&kept_in).unwrap();
            assert_eq!(kept, [&whole[start..cut], b"\n"].concat());
            fs_err::remove_file(&kept_in).unwrap();
        }
    }
}

#[tokio::test]
async fn cut_anywhere_half_a_batch_is_gone_and_delivered_again_it_is_there_once() {
    let folder = tempfile::tempdir().unwrap();
    let (file, start) = written(folder.path(), &[2, 3]).await;
    let whole = fs_err::read(&file).unwrap();
    for cut in (start..whole.len()).step_by(7) {
        fs_err::write(&file, &whole[..cut]).unwrap();
        let store = open(folder.path());
        assert_eq!(
            codes(folder.path(), device(1)),
            codes_of(0, 2),
            "cut at {cut}"
        );
        let again = store.append_audits(&call(1, NOVEMBER), batch(1, 3)).await;
        assert_eq!(again.unwrap(), AppendOutcome::Updated);
        assert_eq!(fs_err::read(&file).unwrap(), whole, "cut at {cut}");
    }
}

#[tokio::test]
async fn an_upload_too_long_for_one_batch_is_there_once_wherever_it_was_cut() {
    let folder = tempfile::tempdir().unwrap();
    let events = 2 * MAX_BATCH_BYTES / 512;
    let store = open(folder.path());
    let delivered = call(1, NOVEMBER);
    let created = store.append_audits(&delivered, batch(1, events)).await;
    assert_eq!(created.unwrap(), AppendOutcome::Created);
    let again = store.append_audits(&delivered, batch(1, events)).await;
    assert_eq!(again.unwrap(), AppendOutcome::Updated);
    drop(store);
    let file = folder.path().join("0000000000000001/audits-2026-11.jsonl");
    let whole = fs_err::read(&file).unwrap();
    let kept = codes(folder.path(), device(1));
    assert_eq!(kept, codes_of(1, events));
    let mut stored = Vec::new();
    for cut in [whole.len() / 4, whole.len() - 1, whole.len()] {
        fs_err::write(&file, &whole[..cut]).unwrap();
        let store = open(folder.path());
        stored.push(codes(folder.path(), device(1)).len());
        let again = store.append_audits(&delivered, batch(1, events)).await;
        again.unwrap();
        drop(store);
        assert!(codes(folder.path(), device(1)) == kept, "cut at {cut}");
    }
    assert!(
        stored[0] == 0 && stored[1] > 0 && stored[1] < events && stored[2] == events,
        "{stored:?}"
    );
}

#[tokio::test]
async fn blocks_that_never_reached_the_disk_are_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let (file, start) = written(folder.path(), &[2, 3]).await;
    let mut contents = fs_err::read(&file).unwrap();
    let hole = start + 20;
    contents[hole..hole + 100].fill(0);
    fs_err::write(&file, &contents).unwrap();
    drop(open(folder.path()));
    assert!(file.with_extension(format!("jsonl.{start}.torn")).exists());
    assert_eq!(codes(folder.path(), device(1)), codes_of(0, 2));
}

#[tokio::test]
async fn a_first_write_that_was_cut_is_still_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = written(folder.path(), &[2]).await;
    let whole = fs_err::read(&file).unwrap();
    fs_err::write(&file, &whole[..whole.len() - 1]).unwrap();
    let store = open(folder.path());
    let again = store.append_audits(&call(1, NOVEMBER), batch(0, 2)).await;
    assert_eq!(again.unwrap(), AppendOutcome::Created);
}

#[tokio::test]
async fn what_a_replacement_left_behind_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = written(folder.path(), &[1]).await;
    let directory = file.parent().unwrap();
    let (leftover, foreign) = (
        directory.join(".device.json.aB3xYz"),
        directory.join(".notes"),
    );
    fs_err::write(&leftover, "{").unwrap();
    fs_err::write(&foreign, "mine").unwrap();
    open(folder.path());
    assert!(!leftover.exists());
    assert!(foreign.exists());
}
