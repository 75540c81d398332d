use std::path::Path;

use super::layout::PairPaths;
use super::*;
use crate::new_files::{FileStep, steps};
use crate::staged_file::staged_path;
use engage_wire::pki::issue::CertifiedIssuer;
use engage_wire::pki::{PrivateKey, load_der_or_pem};

const LISTEN: ListenOverrides = ListenOverrides {
    http: None,
    https: None,
};

fn request(config_path: &Path) -> InitRequest<'_> {
    InitRequest {
        is_system: false,
        config_path,
        hosts: &[],
        listen: &LISTEN,
        site_key_file: None,
        root_key_out: None,
        server_days: None,
        only_unused: true,
        now: engage_wire::clock::now(),
    }
}

fn planned(request: &InitRequest<'_>) -> (Layout, Plan) {
    let path = request.config_path.to_owned();
    let (config, new_config) = request.load_or_new_config(path).unwrap();
    let layout = Layout::new(&config);
    let plan = request.plan(&layout, &config, new_config).unwrap();
    (layout, plan)
}

fn hidden_files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap())
        .map(|entry| {
            if entry.file_type().unwrap().is_dir() {
                hidden_files(&entry.path())
            } else {
                usize::from(entry.file_name().to_string_lossy().starts_with('.'))
            }
        })
        .sum()
}

fn belongs_together(PairPaths { certificate, key }: &PairPaths) -> bool {
    let certificate = load_der_or_pem("test", certificate).unwrap();
    CertifiedIssuer::from_existing(certificate, PrivateKey::load(key).unwrap()).is_ok()
}

/// Stops after each step, as if the process ended there, and in the middle of each file.
fn assert_completed_after_any_step(home: &Path, clear: impl Fn()) {
    let config = home.join("config.toml");
    let (layout, plan) = planned(&request(&config));
    let mut count = 0;
    for (end, next) in steps(plan.files.iter()).map(Some).chain([None]).enumerate() {
        let is_staging = matches!(next, Some(FileStep::Stage(_)));
        for cut in [false, true].into_iter().take(1 + usize::from(is_staging)) {
            clear();
            for step in steps(plan.files.iter()).take(end) {
                step.execute().unwrap();
            }
            if let (Some(FileStep::Stage(file)), true) = (next, cut) {
                fs_err::create_dir_all(file.path.parent().unwrap()).unwrap();
                fs_err::write(staged_path(&file.path), "-----BEGIN").unwrap();
            }
            let completed = request(&config).execute();
            assert!(completed.is_ok(), "step {end}, cut {cut}: {completed:?}");
            assert_eq!(hidden_files(home), 0, "step {end}, cut {cut}");
            for pair in [&layout.intermediate.pair, &layout.server] {
                assert!(belongs_together(pair), "step {end}, cut {cut}: {pair:?}");
            }
            let again = request(&config).execute().unwrap();
            assert!(again.created.is_empty(), "step {end}, cut {cut}");
            count += 1;
        }
    }
    assert_eq!(count, 3 * plan.files.len() + 1);
}

#[test]
fn a_first_run_that_ends_after_any_step_is_completed_by_the_next() {
    let home = tempfile::tempdir().unwrap();
    assert_completed_after_any_step(home.path(), || {
        for entry in std::fs::read_dir(home.path()).unwrap() {
            let path = entry.unwrap().path();
            let _ = std::fs::remove_dir_all(&path);
            let _ = std::fs::remove_file(&path);
        }
    });
}

#[test]
fn a_renewal_that_ends_after_any_step_is_completed_by_the_next() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config.toml");
    request(&config).execute().unwrap();
    let remove = || {
        for name in ["pki/partner_server.pem", "pki/partner_server.key"] {
            let _ = std::fs::remove_file(home.path().join(name));
        }
    };
    remove();
    let (layout, plan) = planned(&request(&config));
    for end in 0..=steps(plan.files.iter()).count() {
        remove();
        for step in steps(plan.files.iter()).take(end) {
            step.execute().unwrap();
        }
        let renewed = InitRequest {
            only_unused: false,
            ..request(&config)
        };
        assert!(renewed.execute().is_ok(), "{end}");
        assert_eq!(hidden_files(home.path()), 0, "{end}");
        assert!(belongs_together(&layout.server), "{end}");
    }
}

#[test]
fn a_clock_that_cannot_be_right_dates_no_certificate() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config.toml");
    let at = |now| InitRequest {
        only_unused: false,
        now,
        ..request(&config)
    };
    let year_2000 = Timestamp::constant(946_684_800, 0);
    let refused = format!("{:?}", at(year_2000).execute().unwrap_err());
    assert!(refused.contains("Clock"), "{refused}");
    assert!(!config.exists());

    at(engage_wire::clock::now()).execute().unwrap();
    for name in ["pki/partner_server.pem", "pki/partner_server.key"] {
        std::fs::remove_file(home.path().join(name)).unwrap();
    }
    let before_the_root = engage_wire::clock::add_days(engage_wire::clock::now(), -3);
    let refused = format!("{:?}", at(before_the_root).execute().unwrap_err());
    assert!(refused.contains("Clock"), "{refused}");
    assert!(refused.contains("partner_intermediate"), "{refused}");
    assert!(!home.path().join("pki/partner_server.pem").exists());
}
