//! What engage-host costs: `bench/compare` beside nginx, `bench/store` its store of devices; and what it withstands:
//! `bench/soak`; and what
//! a fleet goes through whose root is changed: `bench/fleet`.

mod accounting;
mod crypto;
mod device;
mod expected;
mod fleet;
mod host;
mod idle;
mod installation;
mod load;
mod nginx;
mod night;
mod plan;
mod process;
mod reload;
mod report;
mod requests;
mod soak;
mod start;
mod statistics;
mod store;
mod trouble;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Builder;

use installation::Installation;
use plan::{Part, Plan};
use report::Report;
use trouble::{Outcome, Trouble, While};

/// Measure engage-host on this computer, over loopback
#[derive(Debug, Parser)]
enum Load {
    Compare(Compare),
    Store(store::Store),
    Soak(soak::Soak),
    Fleet(fleet::Fleet),
}

/// Compare engage-host with nginx
#[derive(Debug, clap::Args)]
struct Compare {
    /// The release binary of engage-host
    #[arg(long, value_name = "FILE")]
    engage_host: PathBuf,
    /// An earlier binary of engage-host, measured beside this one (`requests` only)
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// The nginx binary
    #[arg(long, value_name = "FILE", default_value = "nginx")]
    nginx: PathBuf,
    /// Folder for chain, configurations and logs; emptied first
    #[arg(long, value_name = "DIR")]
    work: PathBuf,
    /// Where the results go as JSON
    #[arg(long, value_name = "FILE")]
    json: PathBuf,
    /// Fewer and shorter rounds: under a minute, for a first look
    #[arg(long)]
    quick: bool,
    /// Measure only this; repeatable
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<Part>,
}

fn main() -> ExitCode {
    let load = Load::parse();
    // In a task: `block_on` itself would run on a thread beside the workers.
    let done = Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Trouble::from)
        .and_then(|runtime| {
            runtime
                .block_on(runtime.spawn(run(load)))
                .doing("measuring")?
        });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("error: {trouble}");
            ExitCode::FAILURE
        }
    }
}

async fn run(load: Load) -> Outcome<()> {
    match load {
        Load::Compare(compare) => compare_with_nginx(compare).await,
        Load::Store(store) => store::run(store).await,
        Load::Soak(soak) => soak::run(soak).await,
        Load::Fleet(fleet) => fleet::run(fleet).await,
    }
}

async fn compare_with_nginx(compare: Compare) -> Outcome<()> {
    let Compare {
        engage_host,
        baseline,
        nginx,
        work,
        json,
        quick,
        only,
    } = compare;
    let plan = Plan::new(quick, only);
    process::raise_descriptor_limit();
    let installation = Installation::new(&engage_host, baseline.as_deref(), &nginx, &work)?;
    let mut report = Report::new(&installation, &plan);
    if plan.has(Part::Requests) {
        requests::measure(&installation, &plan, &mut report).await?;
    }
    if plan.has(Part::Idle) {
        idle::measure(&installation, &plan, &mut report).await?;
    }
    if plan.has(Part::Start) {
        start::measure(&installation, &plan, &mut report).await?;
    }
    if plan.has(Part::Reload) {
        reload::measure(&installation, &plan, &mut report).await?;
    }
    if plan.has(Part::Night) {
        night::measure(&installation, &plan, &mut report).await?;
    }
    println!("\n{report}");
    report.write_json(&json)
}
