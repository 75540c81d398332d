//! The named pipe over which a reload is asked for: who writes a byte asks, and reads the outcome
//! until the end.
//!
//! A pipe that nothing else is said about can be read by everybody, and written by its owner,
//! administrators and the system: so the byte shows that somebody may ask.

use std::io::{self, Cursor, Read};
use std::mem;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::windows::named_pipe::{
    ClientOptions, NamedPipeClient, NamedPipeServer, ServerOptions,
};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

/// The daemon's side.
pub(crate) struct ReloadListener {
    name: PathBuf,
    /// For who comes next.
    waiting: Mutex<NamedPipeServer>,
}

impl ReloadListener {
    /// Fails if another daemon has that name. Must be called inside the runtime.
    pub(crate) fn bind(name: &Path) -> io::Result<Self> {
        let first = ServerOptions::new()
            .first_pipe_instance(true)
            .reject_remote_clients(true)
            .create(name)?;
        Ok(Self {
            name: name.to_owned(),
            waiting: Mutex::new(first),
        })
    }

    /// The next one who asks. Cancel safe: a connection that was not read from is still there.
    pub(crate) async fn accept(&self) -> io::Result<NamedPipeServer> {
        let mut waiting = self.waiting.lock().await;
        loop {
            waiting.connect().await?;
            if let Ok(Ok(_)) = timeout(REQUEST_TIMEOUT, waiting.read_u8()).await {
                let next = ServerOptions::new()
                    .reject_remote_clients(true)
                    .create(&self.name)?;
                return Ok(mem::replace(&mut *waiting, next));
            }
            waiting.disconnect()?;
        }
    }
}

/// Where the daemon listens.
pub(crate) fn reload_socket_path() -> Option<PathBuf> {
    Some(default_reload_socket_path())
}

/// The same for whoever asks.
pub(crate) fn default_reload_socket_path() -> PathBuf {
    r"\\.\pipe\engage-host".into()
}

/// Asks the daemon behind `name` for a reload and waits for its answer, at most for `wait`.
pub(crate) fn request_reload(name: &Path, wait: Duration) -> io::Result<impl Read> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let answer = runtime.block_on(async {
        timeout(wait, async { read_answer(connect(name).await?).await })
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    })?;
    Ok(Cursor::new(answer))
}

/// Waits while the daemon prepares for the next one.
async fn connect(name: &Path) -> io::Result<NamedPipeClient> {
    loop {
        match ClientOptions::new().open(name) {
            Err(error) if error.raw_os_error() == Some(ERROR_PIPE_BUSY) => sleep(BUSY_PAUSE).await,
            opened => return opened,
        }
    }
}

async fn read_answer(mut pipe: NamedPipeClient) -> io::Result<Vec<u8>> {
    pipe.write_u8(b'\n').await?;
    let mut answer = Vec::new();
    match pipe.read_to_end(&mut answer).await {
        // So Windows says that the daemon has closed its end.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(answer),
        read => read.map(|_| answer),
    }
}

/// Nothing but a byte is to come.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);

/// Of Windows' `winerror.h`.
const ERROR_PIPE_BUSY: i32 = 231;

const BUSY_PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn who_asks_reads_the_answer_and_so_does_the_next() {
        let name = format!(r"\\.\pipe\engage-host-test-{}", std::process::id());
        let name = PathBuf::from(name);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(async { ReloadListener::bind(&name).unwrap() });
        for answer in ["first", "second"] {
            let asked = name.clone();
            let client = thread::spawn(move || {
                let mut text = String::new();
                let mut answer = request_reload(&asked, Duration::from_secs(20)).unwrap();
                answer.read_to_string(&mut text).unwrap();
                text
            });
            runtime.block_on(async {
                let mut pipe = listener.accept().await.unwrap();
                pipe.write_all(answer.as_bytes()).await.unwrap();
                pipe.shutdown().await.unwrap();
            });
            assert_eq!(client.join().unwrap(), answer);
        }
    }

    #[ignore = "wine does not know FILE_FLAG_FIRST_PIPE_INSTANCE"]
    #[test]
    fn a_second_daemon_does_not_get_the_name() {
        let name = format!(r"\\.\pipe\engage-host-twice-{}", std::process::id());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let _first = ReloadListener::bind(name.as_ref()).unwrap();
            assert!(ReloadListener::bind(name.as_ref()).is_err());
        });
    }
}
