//! Trouble in the middle of everything, while people change both sides: nothing is lost, nothing
//! is doubled.

use std::{
    env,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use mail::{Driver, engine::Mode};

use crate::support::{cutter::Cutter, folder, pair::Pair, run, run_for, server, users::Users};

/// How often a sync is killed, unless this says otherwise.
const KILLS: usize = 30;
const KILLS_VARIABLE: &str = "LOCKSTEP_MAIL_KILLS";
/// Tells a process that it is to make one round, and of which account: home, port and user.
const ROUND_VARIABLE: &str = "LOCKSTEP_MAIL_ROUND";

/// How many connections are cut, unless this says otherwise.
const CUTS: usize = 100;
const CUTS_VARIABLE: &str = "LOCKSTEP_MAIL_CUTS";
/// What the rigs' chances stem from, unless this says otherwise.
const SEED: u64 = 20_261_122;
const SEED_VARIABLE: &str = "LOCKSTEP_MAIL_SEED";

fn seed() -> u64 {
    env::var(SEED_VARIABLE).map_or(SEED, |seed| seed.parse().unwrap())
}

#[test]
fn cut_connections_lose_nothing_and_double_nothing() {
    let cuts = env::var(CUTS_VARIABLE).map_or(CUTS, |cuts| cuts.parse().unwrap());
    let server = server(&[]);
    let cutter = Cutter::before(server.ports().0, Duration::ZERO);
    let mut pair = Pair::new(&server, "cut");
    pair.port = cutter.port;
    pair.settings.guard.count = usize::MAX;
    run_for(60 + u64::try_from(cuts).unwrap() * 3, async {
        let mut users = Users::new(seed());
        let mut right = pair.right();
        right.create_folder(&folder("Archive")).await.unwrap();
        users.write_right(&mut right, 40).await;
        users.write_left(&pair, 40);
        users.check(&pair).await;
        let mut rounds = 0;
        while cutter.cuts() < cuts {
            rounds += 1;
            for _ in 0..users.roll(4) {
                users.change_one(&pair, &mut right).await;
            }
            let (here, there) = (users.roll(12), users.roll(4));
            users.write_left(&pair, here);
            users.write_right(&mut right, there).await;
            // Some cuts come during the log-in, most later, and some too late for anything.
            let most = [2_000, 10_000, 40_000, 120_000][users.roll(4)];
            cutter.cut_after(1 + users.roll(most));
            let round = pair.try_round(&Mode::Apply);
            let (outcome, ()) = tokio::join!(round, async {
                // These come while it is at work.
                for _ in 0..users.roll(3) {
                    users.change_one(&pair, &mut right).await;
                }
                let here = users.roll(3);
                users.write_left(&pair, here);
            });
            // Whether it got through or not, the next round must make good of it.
            drop(outcome);
            if rounds % 10 == 0 {
                cutter.let_pass();
                users.check(&pair).await;
            }
        }
        cutter.let_pass();
        users.check(&pair).await;
        println!("{rounds} rounds, {} cuts: {}", cutter.cuts(), users.tell());
    });
}

/// Starts a process that makes one round; this program itself, which finds the test below.
fn round_of_its_own(pair: &Pair<'_>) -> Child {
    let account = format!("{}|{}|{}", pair.home.path().display(), pair.port, pair.user);
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "dovecot_rigs::a_round_in_a_process_of_its_own", "--nocapture"])
        .env(ROUND_VARIABLE, account)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_round_in_a_process_of_its_own() {
    if let Ok(account) = env::var(ROUND_VARIABLE) {
        let parts: Vec<&str> = account.split('|').collect();
        return run(async {
            let summary = Pair::elsewhere(parts[0], parts[1].parse().unwrap(), parts[2]).await;
            assert_eq!(summary.problems, []);
        });
    }
    let server = server(&[]);
    let pair = Pair::new(&server, "process");
    run(async {
        let mut users = Users::new(1);
        let mut right = pair.right();
        right.create_folder(&folder("Archive")).await.unwrap();
        users.write_right(&mut right, 5).await;
        users.write_left(&pair, 5);
        let output = round_of_its_own(&pair).wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        users.compare(&pair).await;
    });
}

#[test]
fn kills_lose_nothing_and_double_nothing() {
    let kills = env::var(KILLS_VARIABLE).map_or(KILLS, |kills| kills.parse().unwrap());
    let server = server(&[]);
    let mut pair = Pair::new(&server, "kill");
    pair.settings.guard.count = usize::MAX;
    run_for(60 + u64::try_from(kills).unwrap() * 3, async {
        let mut users = Users::new(seed());
        let mut right = pair.right();
        right.create_folder(&folder("Archive")).await.unwrap();
        users.write_right(&mut right, 40).await;
        users.write_left(&pair, 40);
        users.check(&pair).await;
        let (mut rounds, mut killed) = (0, 0);
        while killed < kills {
            rounds += 1;
            for _ in 0..users.roll(4) {
                users.change_one(&pair, &mut right).await;
            }
            let (here, there) = (users.roll(40), users.roll(10));
            users.write_left(&pair, here);
            users.write_right(&mut right, there).await;
            let mut round = round_of_its_own(&pair);
            let delay = Duration::from_millis(users.roll(250) as u64);
            // Sleeps because a kill is to come at any moment of a round.
            thread::sleep(delay);
            let late = users.roll(3);
            users.write_left(&pair, late);
            users.change_one(&pair, &mut right).await;
            if round.try_wait().unwrap().is_none() {
                round.kill().unwrap();
                killed += 1;
            }
            round.wait().unwrap();
            if rounds % 5 == 0 {
                users.check(&pair).await;
            }
        }
        users.check(&pair).await;
        println!("{rounds} rounds, {killed} killed: {}", users.tell());
    });
}
