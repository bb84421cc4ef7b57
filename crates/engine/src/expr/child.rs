//! One child process.

use std::{io, process::Stdio, time::Duration};

use flow::{
    expr::frame,
    run::{Answer, Ask},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child as Process, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::PoolOptions;

/// Bytes that a child may say before its greeting.
const NOISE_BYTES_MAX: usize = 4 << 10;

/// How long a child may take to begin.
const BEGIN_MAX: Duration = Duration::from_secs(10);

/// A child, which ends when this is dropped.
pub(super) struct Child {
    _process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Whether it has answered before.
    pub(super) proven: bool,
}

impl Child {
    /// Starts a child and waits for its greeting.
    pub(super) async fn start(options: &PoolOptions) -> io::Result<Self> {
        let mut command = Command::new(&options.program);
        command
            .args(&options.arguments)
            // What the server knows is no business of an expression.
            .env_clear()
            .envs(options.variables.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut process = command.spawn()?;
        let missing = || io::Error::other("the child has no pipes");
        let input = process.stdin.take().ok_or_else(missing)?;
        let output = BufReader::new(process.stdout.take().ok_or_else(missing)?);
        let mut child = Self { _process: process, input, output, proven: false };
        timeout(BEGIN_MAX, child.greeted()).await.map_err(io::Error::other)??;
        Ok(child)
    }

    async fn greeted(&mut self) -> io::Result<()> {
        let mut last = [0; frame::GREETING.len()];
        for _ in 0..NOISE_BYTES_MAX {
            last.rotate_left(1);
            if let Some(end) = last.last_mut() {
                *end = self.output.read_u8().await?;
            }
            if last == frame::GREETING {
                return Ok(());
            }
        }
        Err(io::Error::other("the program does not compute expressions"))
    }

    /// Sends a batch.
    pub(super) async fn send(&mut self, asks: &[&Ask], deadline: Duration) -> io::Result<()> {
        let bytes = frame::framed(&serde_json::to_vec(asks)?)?;
        let sent = async {
            self.input.write_all(&bytes).await?;
            self.input.flush().await
        };
        timeout(deadline, sent).await.map_err(io::Error::other)?
    }

    /// Takes the next answer.
    pub(super) async fn answer(&mut self, deadline: Duration) -> io::Result<Answer> {
        let read = async {
            let mut head = [0; 4];
            self.output.read_exact(&mut head).await?;
            let mut bytes = vec![0; frame::length(head)?];
            self.output.read_exact(&mut bytes).await?;
            Ok(serde_json::from_slice(&bytes)?)
        };
        match timeout(deadline, read).await {
            Ok(answer) => answer,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}
