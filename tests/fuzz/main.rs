//! Hostile bytes: every parser and state machine that reads from the network, a few seconds each, on stable Rust.
//!
//! A target (`targets/`) is a plain function of bytes that must return: no panic, no more than `MEMORY` at once, no longer
//! than `TIME`. Here it gets its seeds, mutated without guidance but with an eye for what parsers trip over.
//!
//! The mutations come from a fixed seed, so a failure comes back when it is run again. The input that failed is kept in a
//! file that the message names; `FUZZ_INPUT=file cargo test --test fuzz TARGET` runs that one alone, `FUZZ_SECONDS=600`
//! goes on for longer, and `FUZZ_SEED=2` tries other mutations.
#![expect(clippy::disallowed_methods, reason = "the time an input takes is what is measured")]

mod memory;
mod mutate;
mod targets;

use mutate::Mutator;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};
use targets::Target;

/// For how long each target is run, unless `FUZZ_SECONDS` says otherwise.
const SMOKE: Duration = Duration::from_secs(4);
/// These read a header of some bytes each, and get through thousands of them in half a second.
const BRIEF: [&str; 3] = ["h264_sps", "h264_slices", "aac_config"];
const BRIEF_SMOKE: Duration = Duration::from_millis(500);
/// No input may take longer. The slowest legitimate one takes a hundredth of this, but the machine is shared.
const TIME: Duration = Duration::from_secs(5);
/// No input may have more than this allocated at any moment: the largest message is 4 MB, and may be there twice while
/// its buffer grows.
const MEMORY: usize = 24 << 20;

fn run(target: &Target) {
    if let Some(path) = env::var_os("FUZZ_INPUT") {
        let input = fs::read(&path).expect("FUZZ_INPUT names a readable file");
        return attempt(target, &input).unwrap_or_else(|fault| panic!("{}: {fault}", target.name));
    }
    let number = |name: &str| env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seed = number("FUZZ_SEED").unwrap_or(1);
    let smoke = if BRIEF.contains(&target.name) { BRIEF_SMOKE } else { SMOKE };
    let limit = number("FUZZ_SECONDS").map_or(smoke, Duration::from_secs);

    let (watched, watch) = mpsc::sync_channel(0);
    let watchdog = thread::spawn(move || watch_over(&watch));
    let seeds = (target.seeds)();
    let mut mutator = Mutator::new(seed, &seeds);
    let began = Instant::now();
    let mut runs = 0u64;
    // The seeds as they are, then what becomes of them.
    while runs < seeds.len() as u64 || began.elapsed() < limit {
        let input = seeds.get(runs as usize).cloned().unwrap_or_else(|| mutator.next());
        watched.send((target.name, input.clone())).expect("the watchdog lives as long as we send");
        if let Err(fault) = attempt(target, &input) {
            let file = keep(target.name, &input);
            panic!("{}, FUZZ_SEED={seed}, run {runs}: {fault}; the input is {}", target.name, file.display());
        }
        runs += 1;
    }
    drop(watched);
    watchdog.join().expect("the watchdog does not panic");
    println!("{}: {runs} inputs", target.name);
    assert!(runs > 200, "{}: {runs} inputs are no test", target.name);
}

/// Runs one input and says what was wrong.
fn attempt(target: &Target, input: &[u8]) -> Result<(), String> {
    let began = Instant::now();
    memory::start();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let peak = memory::peak();
    let took = began.elapsed();
    match outcome {
        Err(_) => Err("panicked".into()),
        Ok(()) if peak > MEMORY => Err(format!("{peak} bytes were allocated at once")),
        Ok(()) if took > TIME => Err(format!("took {took:?}")),
        Ok(()) => Ok(()),
    }
}

/// Ends the process when an input does not come to its end: nothing else gets out of an endless loop.
fn watch_over(inputs: &mpsc::Receiver<(&'static str, Vec<u8>)>) {
    let mut current = None;
    loop {
        match inputs.recv_timeout(4 * TIME) {
            Ok(next) => current = Some(next),
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let (name, input) = current.expect("nothing is sent before the first input");
                eprintln!("{name} does not return; the input is {}", keep(name, &input).display());
                process::abort();
            }
        }
    }
}

fn keep(name: &str, input: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}-{}.bin", process::id()));
    fs::write(&path, input).expect("the scratch folder is writable");
    path
}

macro_rules! smoke {
    ($($target:ident)*) => {
        $(#[test]
        fn $target() {
            run(targets::find(stringify!($target)));
        })*

        #[test]
        fn no_target_is_left_out() {
            let smoked = [$(stringify!($target)),*];
            let all: Vec<_> = targets::ALL.iter().map(|target| target.name).collect();
            assert_eq!(all, smoked);
        }
    };
}

smoke! {
    rtmp_chunks
    rtmp_session
    rtmp_member
    amf0
    amf3
    flv_audio
    flv_video
    stun
    stun_authentic
    dtls_hello
    dtls_handshake
    dtls_established
    srtp
    srtp_authentic
    rtp_packet
    rtp_reception
    rtcp
    rtp_h264
    rtp_vp8
    h264_sps
    h264_slices
    hevc_config
    av1_unit
    vp9_key
    aac_config
    mp4_file
    webm_file
    webrtc_publisher
    webrtc_viewer
    room_api_json
    room_api_call
    sdp_offer
    sdp_fragment
}
