//! What `rotate` says that does not take a step.

use engage_store::{
    KeepDays, Rotation, RotationStep, SqlOptions, SqlStore, StoreReader, StoreWriter,
};
use fs_err as fs;

use super::failure;
use crate::harness::{Installation, program, run, shown, standard};

fn rotate(installation: &Installation, arguments: &str) -> std::process::Command {
    let mut command = program();
    command
        .current_dir(installation.folder())
        .arg("rotate")
        .args(arguments.split_whitespace());
    command
}

#[test]
fn refusals() {
    let installation = Installation::new(standard());
    fs::create_dir(installation.path("Engage_Data")).unwrap();
    let database = installation.path("Engage_Data/engage-host.db");
    let store = SqlStore::open(SqlOptions::sqlite(database), KeepDays::default());
    drop(store.unwrap());
    let chain = standard();
    installation.write("root.pem", &chain.root.pem);
    installation.write("leaf.pem", &chain.server.pem);
    let key = "pki/partner_server.key";
    let mut told = failure(&mut rotate(&installation, "publish"));
    let announced = "static/Device_Certificates/partner_CA.der";
    let take = format!("prepare --root root.pem --chain leaf.pem --key {key}");
    // An intermediate is announced, and the new chain has none.
    installation.write(announced, &chain.intermediate.der);
    told += &failure(&mut rotate(&installation, &take));
    installation.write(announced, "no certificate");
    told += &failure(&mut rotate(&installation, "prepare"));
    installation.write(announced, &chain.root.der);
    let prepared = run(&mut rotate(&installation, "prepare"));
    assert_eq!(prepared.code, Some(0), "{prepared:?}");
    told += &failure(&mut rotate(&installation, "activate"));
    told += &failure(&mut rotate(&installation, &take));
    insta::assert_snapshot!("rotate", shown(&installation, &told));
}

#[test]
fn renewals() {
    let installation = Installation::new(standard());
    fs::create_dir(installation.path("Engage_Data")).unwrap();
    let options = SqlOptions::sqlite(installation.path("Engage_Data/engage-host.db"));
    drop(SqlStore::open(options.clone(), KeepDays::default()).unwrap());
    let prepared = run(&mut rotate(&installation, "prepare"));
    assert_eq!(prepared.code, Some(0), "{prepared:?}");
    let renew = |arguments: &[&str]| {
        let mut command = program();
        let command = command.current_dir(installation.folder()).arg("renew");
        failure(command.args(arguments))
    };
    let mut told = renew(&["--host", "10.45.0.9"]);
    let row = StoreReader::open(&options).unwrap().rotation().unwrap();
    let retiring = row.rotation.map(|it| Rotation {
        step: RotationStep::Retiring,
        ..it
    });
    let mut writer = StoreWriter::open(&options).unwrap();
    writer.replace_rotation(row.revision, retiring).unwrap();
    writer.close().unwrap();
    told += &renew(&[]);
    insta::assert_snapshot!("renewals", shown(&installation, &told));
}
